package unixauth

import (
	"net"
	"os"
)

// Process is a descriptor of the peer's process (a pidfd), which unlike a pid never comes
// to mean another process. It must be closed.
type Process struct{ file *os.File }

// PeerProcess returns the process that is at the other end of conn. It needs Linux 6.5; the
// error wraps [errors.ErrUnsupported] elsewhere, and [ErrNoCred] as that of [PeerCred].
// Before Linux 6.16 there is no descriptor of a process that has ended and been waited
// for; the error wraps [os.ErrProcessDone] then.
func PeerProcess(conn net.Conn) (*Process, error) {
	file, err := peerProcess(conn)
	if err != nil {
		return nil, err
	}
	return &Process{file: file}, nil
}

// Exited reports whether the process has ended.
func (p *Process) Exited() (bool, error) { return exited(p.file) }

// File returns the pidfd itself, for calls such as pidfd_send_signal. It is p's: it
// is closed with p.
func (p *Process) File() *os.File { return p.file }

// Close closes the descriptor.
func (p *Process) Close() error { return p.file.Close() }
