package proxy

import (
	"net"

	"github.com/netparts/netparts/internal/serve"
)

// ListenAndServe listens on address of network and serves. The network is "tcp",
// "tcp4", "tcp6" or "unix", whose address is the path of a socket file, or a name
// that begins with @ in Linux's abstract namespace. A socket file is created with the
// mode that the process's umask leaves, and removed at the end if it is still the
// same file.
func (s *Server) ListenAndServe(network, address string) error {
	if s.group.IsStopping() {
		return ErrServerClosed
	}
	l, err := listen(network, address)
	if err != nil {
		return err
	}
	if s.Listening != nil {
		s.Listening(l.Addr())
	}
	return s.Serve(l)
}

func listen(network, address string) (net.Listener, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
		return net.Listen(network, address)
	case "unix":
		return serve.ListenUnix(network, address)
	}
	return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
}
