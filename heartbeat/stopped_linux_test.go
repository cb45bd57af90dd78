package heartbeat_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

// childVariable makes the test binary a process that pings, at this address.
const childVariable = "HEARTBEAT_TEST_CHILD"

func TestMain(m *testing.M) {
	if addr := os.Getenv(childVariable); addr != "" {
		fmt.Println(pingUntilSilent(addr))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// pingUntilSilent returns why it ended.
func pingUntilSilent(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	p := &heartbeat.Pinger{Writer: conn, Interval: 50 * time.Millisecond, Timeout: 200 * time.Millisecond}
	go func() {
		b := make([]byte, 64)
		for {
			if _, err := conn.Read(b); err != nil {
				return
			}
			p.Touch()
		}
	}()
	return p.Run(context.Background())
}

// A process that is stopped by a signal, for longer than it allows its peer to be
// silent, does not report it when it goes on. It reports one that is silent then.
func TestProcessThatIsStopped(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+l.Addr().String())
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() // which fails if all is well, for it has ended
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	answer := func(pings int) {
		t.Helper()
		b := make([]byte, 4)
		for range pings {
			if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, b); err != nil || string(b) != "ping" {
				t.Fatalf("read %q, %v, want a ping; it said %q", b, err, stdout.String())
			}
			if _, err := conn.Write([]byte("pong")); err != nil {
				t.Fatal(err)
			}
		}
	}
	answer(3)
	for range 2 {
		if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		// What it had sent is read, and what it does not send is waited for.
		if err := conn.SetReadDeadline(time.Now().Add(600 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the process was not stopped: %v", err)
		}
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		answer(5)
	}
	if err := cmd.Wait(); err != nil || stdout.String() != heartbeat.ErrPeerSilent.Error()+"\n" {
		t.Errorf("the process ended with %v and said %q", err, stdout.String())
	}
}
