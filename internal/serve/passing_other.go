//go:build !unix && !windows

package serve

// passes reports false where the numbers of the system's errors are not known:
// every accept error ends Serve.
func passes(error) bool { return false }
