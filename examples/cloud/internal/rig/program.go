package rig

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/daemon"
)

// Limit is how long a test waits for what must happen.
const Limit = 20 * time.Second

// variable says which program a test binary is.
const variable = "NETPARTS_CLOUD_PROGRAM"

// Main is for TestMain: the test binary is the named program where Start wants it.
func Main(m *testing.M, programs map[string]func()) int {
	if name := os.Getenv(variable); name != "" {
		programs[name]()
		return 0
	}
	return m.Run()
}

// A Program is a process.
type Program struct {
	// Stdout is what it prints.
	Stdout *bufio.Reader

	// Stderr is what it has written there.
	Stderr *daemon.Output

	cmd    *exec.Cmd
	ended  chan struct{}
	status int
}

// Start starts this test binary as one of the programs of Main, with variables of the
// environment in the form "NAME=value", those of the clouds not taken over from here. The
// process ends with the test.
func Start(t *testing.T, name string, env ...string) *Program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Program{cmd: exec.Command(self), Stderr: new(daemon.Output), ended: make(chan struct{})}
	for _, kv := range os.Environ() {
		if !ofACloud(kv) {
			p.cmd.Env = append(p.cmd.Env, kv)
		}
	}
	p.cmd.Env = append(append(p.cmd.Env, variable+"="+name), env...)
	p.cmd.Stderr = p.Stderr
	stdout, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout = w
	p.Stdout = bufio.NewReader(stdout)
	if err := stdout.SetReadDeadline(time.Now().Add(Limit)); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		t.Fatal(err)
	}
	err = p.cmd.Start()
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	go p.wait()
	t.Cleanup(func() {
		// An error says that it has ended already.
		_ = p.cmd.Process.Kill()
		<-p.ended
		stdout.Close()
		if t.Failed() {
			t.Logf("the standard error of %s:\n%s", name, p.Stderr)
		}
	})
	return p
}

// ofACloud reports whether a variable would tell a program something.
func ofACloud(kv string) bool {
	for _, prefix := range []string{"AWS_", "FUNCTION", "PORT=", "XKCD_", "K_SERVICE="} {
		if strings.HasPrefix(kv, prefix) {
			return true
		}
	}
	return false
}

func (p *Program) wait() {
	defer close(p.ended)
	// The state tells more than the error.
	_ = p.cmd.Wait()
	p.status = p.cmd.ProcessState.ExitCode()
}

// FirstURL reads the first line, and returns the URL that the program listens on.
func (p *Program) FirstURL(t *testing.T) string {
	t.Helper()
	return "http://" + daemon.FirstLine(t, io.Reader(p.Stdout), "http")
}

// Log waits until what the program has written on its standard error is complete, which it
// may be some time after an answer.
func (p *Program) Log(t *testing.T, complete func(log string) bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	limit := time.After(Limit)
	for !complete(p.Stderr.String()) {
		select {
		case <-again.C:
		case <-limit:
			t.Errorf("the log is\n%s", p.Stderr)
			return
		}
	}
}

// Ended is closed when the process has ended.
func (p *Program) Ended() <-chan struct{} { return p.ended }

// Signal sends a signal to the process.
func (p *Program) Signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Status waits for the process to end, and returns its exit status.
func (p *Program) Status(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(Limit):
		t.Fatal("the program did not end")
	}
	return p.status
}
