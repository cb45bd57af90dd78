package unixauth

import (
	"net"
	"slices"
	"sync"
)

// Activated is a listener that this process was started with.
type Activated struct {
	// Name is what the service manager calls it (FileDescriptorName= of systemd), or
	// "unknown".
	Name string

	// Listener is of a Unix or a TCP socket. Closing it does not remove the socket's
	// file, which is the service manager's.
	Listener net.Listener
}

// activation takes what was passed on.
var activation = sync.OnceValues(activate)

// Activation returns the listeners that the service manager passed on to this process, in
// its order (LISTEN_FDS, see sd_listen_fds(3)), or none if there are none, or they are
// meant for another process (LISTEN_PID, LISTEN_PIDFDID). The first call takes them and
// removes the variables from the environment; later calls return the same.
//
// What was passed is checked: that the numbers are in bounds, and that each is a listening
// stream socket that this process was started with. If one is not, it is an error, and
// all that were passed are closed. Systems other than Linux have no such service
// manager: there the error wraps [errors.ErrUnsupported] if LISTEN_FDS is set.
func Activation() ([]Activated, error) {
	all, err := activation()
	return slices.Clone(all), err
}
