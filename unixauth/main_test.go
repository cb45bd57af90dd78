//go:build linux

package unixauth_test

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	childMain()
	os.Exit(m.Run())
}
