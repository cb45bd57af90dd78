// Package interop lets tests talk to real programs and use the rights of root,
// where the machine has them.
//
// Such a test is skipped on a machine that lacks what it needs, with the Debian
// package to install in the message. Where the environment variable
// NETPARTS_INTEROP is 1, as in continuous integration, what is missing is a
// failure, so that no such test can go unrun unnoticed.
package interop

import (
	"os"
	"os/exec"
	"testing"
)

// Required reports whether what is missing is a failure.
func Required() bool { return os.Getenv("NETPARTS_INTEROP") == "1" }

// Command returns the path of a program, which is in the given Debian package.
func Command(tb testing.TB, name, debianPackage string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(tb, "no program %s: apt-get install %s", name, debianPackage)
	}
	return path
}

// Slow skips a test that takes minutes, unless it is required.
func Slow(tb testing.TB) {
	tb.Helper()
	if !Required() {
		tb.Skipf("this test takes minutes: set NETPARTS_INTEROP=1")
	}
}

// Root makes sure that the test runs as root.
func Root(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		missing(tb, "this test needs root")
	}
}

func missing(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if Required() {
		tb.Fatalf(format, args...)
	}
	tb.Skipf(format, args...)
}
