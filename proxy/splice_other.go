//go:build unix && (!linux || portable)

package proxy

// A splice moves bytes within the kernel, where that can.
type splice struct{ forbidden bool }

func (*splice) read(int)               {}
func (*splice) wanted() bool           { return false }
func (*splice) full() bool             { return false }
func (*splice) fill(int) error         { return errNoSplice }
func (*splice) drain(int) (int, error) { return 0, errNoSplice }
func (*splice) release()               {}
