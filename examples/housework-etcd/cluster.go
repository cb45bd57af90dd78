package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/netparts/netparts/examples/housework-etcd/etcdstore"
)

// members is how many there are: one of three may fail.
const members = 3

// maxSocket is how long the path of a socket may be: 103 bytes on macOS, 107 on Linux.
const maxSocket = 103

// A cluster is members that run as processes of this one.
type cluster struct {
	members []*process
	client  *clientv3.Client // of all of them
}

// A process is a member.
type process struct {
	name         string
	client, peer string // addresses
	endpoint     string // the first of them, as seen from here
	command      func() *exec.Cmd
	fail         context.CancelCauseFunc // of the whole, if it ends by itself

	running *exec.Cmd
	stdin   io.Closer
	killed  chan struct{} // closed before it is killed
	ended   chan struct{}
}

// startCluster starts the members, with their data in dir. If one of them ends by
// itself, fail is called.
func startCluster(ctx context.Context, dir string, stderr io.Writer, fail context.CancelCauseFunc) (*cluster, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if _, isFile := stderr.(*os.File); !isFile { // which the members can have as it is
		stderr = &lockedWriter{w: stderr}
	}
	c := new(cluster)
	var endpoints, all []string
	for i := range members {
		p := &process{name: fmt.Sprint("m", i), fail: fail}
		if err := p.choose(dir); err != nil {
			return nil, err
		}
		c.members = append(c.members, p)
		endpoints = append(endpoints, p.endpoint)
		all = append(all, p.name+"="+p.peer)
	}
	for _, p := range c.members {
		p.command = func() *exec.Cmd {
			cmd := exec.Command(program, memberCommand, p.name, p.client, p.peer, strings.Join(all, ","))
			cmd.Dir, cmd.Stderr = dir, stderr
			return cmd
		}
	}
	if c.client, err = clientv3.New(etcdstore.Config(endpoints...)); err != nil {
		return nil, err
	}
	for _, p := range c.members {
		if err := p.start(); err != nil {
			return nil, errors.Join(err, c.stop())
		}
	}
	if _, err := c.leader(ctx, nil); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// choose chooses the addresses of a member: sockets in the folder, which only this
// user can enter.
func (p *process) choose(dir string) error {
	if runtime.GOOS == "windows" { // where a file cannot be called so
		return p.choosePorts()
	}
	// Peers dial the name that stands in the address, in the folder where they run.
	p.client, p.peer = "unix://"+p.name+":1", "unix://"+p.name+":2"
	socket := filepath.Join(dir, p.name+":1")
	if len(socket) > maxSocket {
		return fmt.Errorf("%s is too long a name for a socket: choose another -dir", socket)
	}
	p.endpoint = "unix://" + socket
	return nil
}

// choosePorts chooses ports that are free now.
func (p *process) choosePorts() error {
	for _, address := range []*string{&p.client, &p.peer} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*address = "http://" + l.Addr().String()
		if err := l.Close(); err != nil {
			return err
		}
	}
	p.endpoint = p.client
	return nil
}

// start starts a member, which may have run before.
func (p *process) start() error {
	cmd := p.command()
	setUp(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	started, killed, ended := make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		// Linux ends the process with the thread that has started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		err = cmd.Wait()
		select {
		case <-killed:
		default:
			p.fail(fmt.Errorf("member %s has ended by itself: %v", p.name, err))
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		return err
	}
	p.running, p.stdin, p.killed, p.ended = cmd, stdin, killed, ended
	return nil
}

// kill kills a member with SIGKILL and waits until it is gone.
func (p *process) kill() error {
	if p.running == nil {
		return nil
	}
	close(p.killed)
	err := p.running.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-p.ended
	p.running = nil
	return err
}

// stop kills all members.
func (c *cluster) stop() error {
	err := c.client.Close()
	if errors.Is(err, context.Canceled) { // which is how it says that it did
		err = nil
	}
	for _, p := range c.members {
		err = errors.Join(err, p.kill())
	}
	return err
}

// leader waits until all members but one that was killed, which may be nil, agree on
// a leader, and returns it.
func (c *cluster) leader(ctx context.Context, killed *process) (*process, error) {
	return until(ctx, func(ctx context.Context) *process {
		var leader *process
		var id uint64
		for _, p := range c.members {
			if p == killed {
				continue
			}
			s, err := c.client.Status(ctx, p.endpoint)
			if err != nil || s.Leader == 0 || id != 0 && s.Leader != id {
				return nil
			}
			id = s.Leader
			if s.Header.MemberId == id {
				leader = p
			}
		}
		return leader
	})
}

// applied returns how much of the log a member has applied, at least 1.
func (c *cluster) applied(ctx context.Context, p *process) (index uint64, err error) {
	found, err := until(ctx, func(ctx context.Context) *uint64 {
		if s, err := c.client.Status(ctx, p.endpoint); err == nil && s.RaftAppliedIndex > 0 {
			return &s.RaftAppliedIndex
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return *found, nil
}

// A lockedWriter is one for several processes.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// until asks every 10 ms, until there is an answer or ctx ends.
func until[T any](ctx context.Context, ask func(ctx context.Context) *T) (*T, error) {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		// A process that is starting does not answer.
		once, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		answer := ask(once)
		cancel()
		if answer != nil {
			return answer, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
