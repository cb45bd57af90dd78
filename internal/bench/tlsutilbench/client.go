//go:build linux

package tlsutilbench

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/tlsutil"
)

// patience is how long anything may take.
const patience = 20 * time.Second

// workers is how many handshakes a client has under way, so that neither end waits for the
// other all the time.
const workers = 2

// A client is that of all servers.
type client struct {
	caches map[string][]tls.ClientSessionCache // of each worker, by the address of the server
	held   []*tls.Conn
}

// shake makes connections, has one byte come back on each, and waits until the server has
// closed it.
func (c *client) shake(o *order) (lab.Done, error) {
	configs, err := c.configs(o)
	if err != nil {
		return lab.Done{}, err
	}
	return inParallel(o.Count, func(worker int) error {
		conn, err := connect(o, configs[worker])
		if err != nil {
			return err
		}
		return leave(conn)
	})
}

// hold makes connections that stay open until the process ends.
func (c *client) hold(o *order) (lab.Done, error) {
	configs, err := c.configs(o)
	if err != nil {
		return lab.Done{}, err
	}
	var mu sync.Mutex
	return inParallel(o.Count, func(worker int) error {
		conn, err := connect(o, configs[worker])
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		c.held = append(c.held, conn)
		return nil
	})
}

// configs returns the configuration of each worker. Each has tickets of its own, so that
// all handshakes but the first are resumed.
func (c *client) configs(o *order) ([]*tls.Config, error) {
	config, err := o.Files.clientConfig(o.Mutual)
	if err != nil {
		return nil, err
	}
	list := make([]*tls.Config, workers)
	for i := range list {
		list[i] = config.Clone()
	}
	if !o.Resume {
		return list, nil
	}
	caches, warm := c.caches[o.Addr]
	if !warm {
		for range workers {
			caches = append(caches, tls.NewLRUClientSessionCache(1))
		}
		c.caches[o.Addr] = caches
	}
	for i, config := range list {
		config.ClientSessionCache = caches[i]
		if warm {
			continue
		}
		first := *o
		first.Resume = false
		conn, err := connect(&first, config)
		if err == nil {
			err = leave(conn)
		}
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// inParallel calls f count times.
func inParallel(count int, f func(worker int) error) (lab.Done, error) {
	begin := time.Now()
	errs := make([]error, workers)
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for i := worker; i < count && errs[worker] == nil; i += workers {
				errs[worker] = f(worker)
			}
		})
	}
	all.Wait()
	return lab.Done{Count: count, Took: time.Since(begin)}, errors.Join(errs...)
}

// connect makes a connection that has been served once.
func connect(o *order, config *tls.Config) (*tls.Conn, error) {
	inner, err := net.DialTimeout("tcp", o.Addr, patience)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(inner, config)
	if err := ask(conn, o.Resume); err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	return conn, nil
}

// ask has one byte come back, and looks at what was agreed on.
func ask(conn *tls.Conn, resumed bool) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	sent, came := [1]byte{'x'}, [1]byte{}
	if _, err := conn.Write(sent[:]); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, came[:]); err != nil {
		return err
	}
	switch state := conn.ConnectionState(); {
	case came != sent:
		return errors.New("what came back differs")
	case state.Version != tls.VersionTLS13:
		return fmt.Errorf("version is %s", tls.VersionName(state.Version))
	case state.DidResume != resumed:
		return fmt.Errorf("resumed: %t, want %t", state.DidResume, resumed)
	}
	return nil
}

// leave ends a connection, and returns when the server has done so too, and has nothing
// more to do.
func leave(conn *tls.Conn) error {
	err := conn.CloseWrite()
	if err == nil {
		_, err = io.Copy(io.Discard, conn)
	}
	return errors.Join(err, conn.NetConn().Close())
}

// intrude connects without a certificate, which must be refused. With TLS 1.3 a client
// learns that from its first read. It is told by an alert, or by a reset if the server has
// closed the connection before it had read all.
func (c *client) intrude(o *order) error {
	config, err := o.Files.clientConfig(false)
	if err != nil {
		return err
	}
	inner, err := net.DialTimeout("tcp", o.Addr, patience)
	if err != nil {
		return err
	}
	defer inner.Close() // the server has closed it too
	if err := inner.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var came [1]byte
	_, err = tls.Client(inner, config).Read(came[:])
	if !errors.Is(tlsutil.Explain(err), tlsutil.ErrNoClientCert) && !errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("a client without a certificate is not refused: %w", err)
	}
	return nil
}
