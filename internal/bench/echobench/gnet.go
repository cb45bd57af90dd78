//go:build linux

package echobench

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/bench/lab"
)

// An eventEcho is the handler of gnet.
type eventEcho struct {
	gnet.BuiltinEventEngine
	booted chan<- struct{}
}

// OnBoot tells that the sockets are bound.
func (e *eventEcho) OnBoot(gnet.Engine) gnet.Action {
	close(e.booted)
	return gnet.None
}

// OnTraffic echoes what has arrived.
func (e *eventEcho) OnTraffic(c gnet.Conn) gnet.Action {
	b, err := c.Next(-1)
	if err == nil {
		_, err = c.Write(b)
	}
	if err != nil {
		return gnet.Close
	}
	return gnet.None
}

// serveEvents starts gnet on a port that was free a moment ago, since it does not
// say which one it got. It tries again where another process has taken the port.
func serveEvents(o *order, a *answer) error {
	for {
		a.Addr = o.Addr
		if strings.HasSuffix(a.Addr, ":0") {
			port, err := lab.FreePort(o.Network)
			if err != nil {
				return err
			}
			a.Addr = port
		}
		booted, failed := make(chan struct{}), make(chan error, 1)
		go func() {
			err := gnet.Run(&eventEcho{booted: booted}, o.Network+"://"+a.Addr, gnet.WithMulticore(true),
				gnet.WithNumEventLoop(2), gnet.WithSocketRecvBuffer(eventBuffer(o.Network)), gnet.WithLogger(quietLogger{}))
			select {
			case <-booted: // and it is to serve for as long as the process lives
				serveOn(o.Side, func() error { return err })
			default:
				failed <- err
			}
		}()
		select {
		case <-booted:
			return nil
		case err := <-failed:
			if !errors.Is(err, unix.EADDRINUSE) {
				return fmt.Errorf("gnet did not start: %w", err)
			}
		}
	}
}

// eventBuffer is 0, which leaves the buffers of connections to the kernel.
func eventBuffer(network string) int {
	if network == "udp" {
		return bufferSize
	}
	return 0
}

// A quietLogger keeps gnet from the standard output, where answers go, and from
// telling of each connection that a client has reset.
type quietLogger struct{}

// Debugf says nothing.
func (quietLogger) Debugf(string, ...any) {}

// Infof says nothing.
func (quietLogger) Infof(string, ...any) {}

// Warnf says nothing.
func (quietLogger) Warnf(string, ...any) {}

// Errorf says nothing: what matters is what Run returns.
func (quietLogger) Errorf(string, ...any) {}

// Fatalf ends the process, as gnet expects.
func (quietLogger) Fatalf(f string, v ...any) {
	fmt.Fprintf(os.Stderr, f+"\n", v...)
	os.Exit(1)
}
