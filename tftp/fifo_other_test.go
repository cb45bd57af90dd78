//go:build !unix

package tftp_test

import "testing"

// makeFIFO is for systems that have FIFOs among their files.
func makeFIFO(*testing.T, string) {}
