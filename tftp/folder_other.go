//go:build !unix

package tftp

// nonblocking is for systems that have FIFOs among their files.
const nonblocking = 0

// noLinks reports whether a filesystem has no hard links. Windows has several
// codes for that.
func noLinks(err error) bool { return err != nil }
