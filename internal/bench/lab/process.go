//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is one whose costs are of interest: a child of this program that obeys orders,
// or a program of somebody else.
type Process struct {
	Kind string // the side that it belongs to, or "client"
	Addr string // of the server, if it is one
	PID  int
	PIDs []int // of those that work for it too

	t *T

	// These are of children alone, which take orders.
	own *os.Process
	out *json.Encoder
	in  *json.Decoder
	end func()
}

// Environment for [T.Start].
const (
	// OneCPU binds a process to the first processor that it may use, of which its
	// runtime then knows no other.
	OneCPU = cpuVariable + "=1"

	// UserPrefix with a number has a process run as that user. It takes root.
	UserPrefix = userVariable + "="
)

// Start starts this program as a child of the part, which runs until the case ends. Each
// of env is a variable and its value.
func (t *T) Start(kind string, env ...string) *Process {
	self, err := os.Executable()
	t.Fatal(err)
	cmd := exec.Command(self) // which ends with its input
	cmd.Env = append(append(os.Environ(), childVariable+"="+t.part, kindVariable+"="+kind, raceOptions()), env...)
	if t.profiles != "" {
		cmd.Env = append(cmd.Env, profileVariable+"="+t.profiles)
	}
	cmd.Stderr = os.Stderr
	// A key that interrupts a terminal's processes reaches this one alone, which ends
	// the others.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	t.Fatal(err)
	stdout, err := cmd.StdoutPipe()
	t.Fatal(err)
	t.Fatal(cmd.Start())
	end := sync.OnceFunc(func() {
		err := stdin.Close()
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }) // fails if it has ended
		err = errors.Join(err, cmd.Wait())
		if !late.Stop() {
			err = fmt.Errorf("did not end with its input: %w", err)
		}
		if err != nil {
			t.Errorf("%s: %w", kind, err)
		}
	})
	t.Cleanup(end)
	return &Process{
		Kind: kind, PID: cmd.Process.Pid, t: t,
		own: cmd.Process, out: json.NewEncoder(stdin), in: json.NewDecoder(stdout), end: end,
	}
}

// End ends a child before the case does.
func (p *Process) End() { p.end() }

// raceOptions keep a child that has the race detector from waiting for a second when it
// ends.
func raceOptions() string {
	const name = "GORACE"
	return name + "=atexit_sleep_ms=0 " + os.Getenv(name) // where the user's come last, and win
}

// patience is how long a child may take to end when it has nothing more to obey. It is
// shorter in a test.
var patience = 20 * time.Second

// Program is a process that takes no orders.
func (t *T) Program(kind, addr string, pid int, pids ...int) *Process {
	return &Process{Kind: kind, Addr: addr, PID: pid, PIDs: pids, t: t}
}

// An envelope is what goes to a child, and a reply what comes back.
type (
	envelope struct {
		Use     bool // tell what was used since ever, and obey nothing
		Collect bool // garbage first
		Order   json.RawMessage
	}
	reply struct {
		Used   Usage // since the order, or since ever
		Answer json.RawMessage
		Error  string
	}
)

// Tell has a process obey an order, and returns its answer and what that took.
func Tell[A any](p *Process, order any) (answer A, used Usage) {
	data, err := json.Marshal(order)
	p.t.Fatal(err)
	r := p.exchange(envelope{Order: data})
	p.t.Fatal(json.Unmarshal(r.Answer, &answer))
	return answer, r.Used
}

func (p *Process) exchange(e envelope) (r reply) {
	// A child that is at work when the program is interrupted ends at once.
	stop := context.AfterFunc(p.t.ctx, func() { _ = p.own.Kill() }) // fails if it has ended
	err := p.out.Encode(e)
	if err == nil {
		err = p.in.Decode(&r)
	}
	stop()
	switch {
	case errors.Is(err, io.EOF):
		err = errors.New("ended before it had answered")
	case err == nil && r.Error != "":
		err = errors.New(r.Error)
	}
	if err != nil {
		p.t.Fatalf("%s: %w", p.Kind, err)
	}
	return r
}

// Use is what a process has used since ever.
func (p *Process) Use() Usage { return p.exchange(envelope{Use: true}).Used }

// Keeps is the same without garbage, and with what is free given back to the system.
func (p *Process) Keeps() Usage { return p.exchange(envelope{Use: true, Collect: true}).Used }

// CPU is the CPU time of user and system that the process has used, and those that work
// for it.
func (p *Process) CPU() time.Duration {
	sum := cpuOf(p.t, p.PID)
	for _, pid := range p.PIDs {
		sum += cpuOf(p.t, pid)
	}
	return sum
}

// cpuOf is what a process has used, to the nanosecond.
func cpuOf(t *T, pid int) time.Duration {
	clock := int32(^pid)<<3 | 2 // of the process, whose number is inverted
	return clockOf(t, clock)
}

func clockOf(t *T, clock int32) time.Duration {
	var ts unix.Timespec
	t.Fatal(unix.ClockGettime(clock, &ts))
	return time.Duration(ts.Nano())
}

// OwnCPU is the CPU time of this process, with the collector's.
func (t *T) OwnCPU() time.Duration { return clockOf(t, unix.CLOCK_PROCESS_CPUTIME_ID) }
