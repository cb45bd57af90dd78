//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Program is one of somebody else that serves.
type Program struct {
	Kind          string // the side that it belongs to
	Path          string
	Args          []string
	Network, Addr string // where it is going to listen
	Children      int    // how many processes it starts that work for it
}

// How long a program may take to listen, and to end, and how often it is looked at.
const (
	programLimit = 10 * time.Second
	programPause = 5 * time.Millisecond
)

// RunProgram starts a program, which runs until the case ends, and waits until it listens
// and has its children.
func (t *T) RunProgram(p Program) (*Process, error) {
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Stderr = os.Stderr
	// A key that interrupts a terminal's processes reaches this one alone, as with
	// children. If this one dies the program is asked to end, rather than killed, so
	// that it ends its own children.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // some make an error of the signal, and what goes wrong they print
	}()
	t.Cleanup(func() { t.endProgram(cmd, ended) })

	at := &Process{Kind: p.Kind, Addr: p.Addr, PID: cmd.Process.Pid, t: t}
	limit := time.NewTimer(programLimit)
	defer limit.Stop()
	for {
		err := at.ready(&p)
		if err == nil {
			return at, nil
		}
		select {
		case <-ended:
			return nil, fmt.Errorf("%s has ended", p.Path)
		case <-limit.C:
			return nil, fmt.Errorf("%s is not ready: %w", p.Path, err)
		case <-t.ctx.Done():
			return nil, t.ctx.Err()
		case <-time.After(programPause):
		}
	}
}

// ready returns why a program is not, and notes its children if it is.
func (p *Process) ready(program *Program) error {
	conn, err := net.Dial(program.Network, program.Addr)
	if err != nil {
		return err
	}
	pids, err := childrenOf(p.PID)
	if err := errors.Join(err, conn.Close()); err != nil {
		return err
	}
	if len(pids) < program.Children {
		return fmt.Errorf("it has %d children, want %d", len(pids), program.Children)
	}
	p.PIDs = pids
	return nil
}

// childrenOf returns the processes that the threads of a process have started.
func childrenOf(pid int) (pids []int, err error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list) // an error says that the thread has ended
		for field := range strings.FieldsSeq(string(text)) {
			child, failure := strconv.Atoi(field)
			pids, err = append(pids, child), errors.Join(err, failure)
		}
	}
	return pids, err
}

// endProgram asks a program to end, and kills it if it does not.
func (t *T) endProgram(cmd *exec.Cmd, ended <-chan struct{}) {
	_ = cmd.Process.Signal(syscall.SIGTERM) // an error says that it has ended
	select {
	case <-ended:
	case <-time.After(programLimit):
		t.Errorf("%s does not end", cmd.Path)
		_ = cmd.Process.Kill() // the same
		<-ended
	}
}

// FreePort returns an address of this machine that nothing listens at, "tcp" or "udp", for
// what cannot tell which one it has got.
func FreePort(network string) (string, error) {
	if network == "udp" {
		conn, err := net.ListenPacket(network, "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		return conn.LocalAddr().String(), conn.Close()
	}
	l, err := net.Listen(network, "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
