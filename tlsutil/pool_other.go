//go:build !unix

package tlsutil

// nonblock is none where files that wait are not opened by their names.
const nonblock = 0
