//go:build linux

package bench

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A process is a child.
type process struct {
	kind  string
	addr  string // of the server, if it is one
	pid   int
	pids  []int // of those that work for it too
	stdin io.Closer
	out   *json.Encoder
	in    *json.Decoder
}

// startClient starts a process, which runs until the benchmark ends. Each of env is
// a variable and its value.
func startClient(b *testing.B, env ...string) *process {
	b.Helper()
	return start(b, "client", env)
}

func start(b *testing.B, kind string, env []string) *process {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self) // which ends with its input
	cmd.Env = append(append(os.Environ(), childVariable+"="+kind), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(stdin.Close(), cmd.Wait()); err != nil {
			b.Errorf("%s: %v", kind, err)
		}
	})
	return &process{kind: kind, pid: cmd.Process.Pid, stdin: stdin, out: json.NewEncoder(stdin), in: json.NewDecoder(stdout)}
}

func (p *process) tell(b *testing.B, o order) (a answer) {
	b.Helper()
	err := p.out.Encode(o)
	if err == nil {
		err = p.in.Decode(&a)
	}
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	if err != nil {
		b.Fatalf("%s: %s: %v", p.kind, o.Do, err)
	}
	return a
}

func (p *process) use(b *testing.B) usage {
	b.Helper()
	return p.tell(b, order{Do: "use"}).Used
}

// keeps is the use without garbage.
func (p *process) keeps(b *testing.B) usage {
	b.Helper()
	return p.tell(b, order{Do: "use", Collect: true}).Used
}

// cpu is what the process has used, and those that work for it.
func (p *process) cpu(b *testing.B) time.Duration {
	b.Helper()
	sum := cpuOf(b, p.pid)
	for _, pid := range p.pids {
		sum += cpuOf(b, pid)
	}
	return sum
}

// cpuOf is what a process has used, to the nanosecond.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	clock := int32(^pid)<<3 | 2 // of the process, whose number is inverted
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
