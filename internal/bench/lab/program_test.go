//go:build linux

package lab_test

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/netparts/netparts/internal/bench/lab"
)

// listenVariable has TestProgramThatListens be a program, which listens at its value.
const listenVariable = "NETPARTS_LAB_LISTEN"

// TestProgramThatListens is a test of nothing, but a program with a child.
func TestProgramThatListens(t *testing.T) {
	addr := os.Getenv(listenVariable)
	if addr == "" {
		t.Skip("it is started by another test")
	}
	child := exec.Command("sleep", "60")
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}

// inCase runs f as a case, and returns the error of that.
func inCase(t *testing.T, f func(t *lab.T)) error {
	t.Helper()
	const metric = "runs"
	r := lab.Runner{Rounds: 1, Tiny: true}
	_, err := r.Run(t.Context(), &lab.Part{Name: "test", Cases: []lab.Case{{
		Name: "case", Sides: lab.Sides(lab.Ours), Metrics: []lab.Metric{{Name: metric}},
		Run: func(lt *lab.T) {
			for lt.Round() {
				f(lt)
				lt.Record(lab.Ours, metric, 1)
			}
		},
	}}})
	return err
}

// A program is there with its child until the case ends.
func TestRunProgram(t *testing.T) {
	addr, err := lab.FreePort("tcp")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(listenVariable, addr)
	var p *lab.Process
	err = inCase(t, func(lt *lab.T) {
		p, err = lt.RunProgram(lab.Program{
			Kind: "peer", Path: os.Args[0], Args: []string{"-test.run=^TestProgramThatListens$"},
			Network: "tcp", Addr: addr, Children: 1,
		})
		lt.Fatal(err)
		if len(p.PIDs) != 1 || p.Kind != "peer" || p.Addr != addr || p.CPU() <= 0 {
			t.Errorf("%+v has used %v", p, p.CPU())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.PID, 0); err != syscall.ESRCH {
		t.Errorf("it is there after the case: %v", err)
	}
}

// A program that ends, rather than listening, is told of at once.
func TestProgramThatEnds(t *testing.T) {
	addr, err := lab.FreePort("udp") // where no TCP listens either, most likely
	if err != nil {
		t.Fatal(err)
	}
	failed := inCase(t, func(lt *lab.T) {
		_, err = lt.RunProgram(lab.Program{Kind: "peer", Path: "true", Network: "tcp", Addr: addr})
	})
	if failed != nil || err == nil || !strings.Contains(err.Error(), "true has ended") {
		t.Errorf("RunProgram: %v, the case: %v", err, failed)
	}
	failed = inCase(t, func(lt *lab.T) {
		_, err = lt.RunProgram(lab.Program{Path: "/no/such/program", Network: "tcp", Addr: addr})
	})
	if failed != nil || err == nil {
		t.Errorf("RunProgram of what is not there: %v, the case: %v", err, failed)
	}
}
