//go:build unix

package main

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// The second signal does not wait for requests, but ends the program as it would have
// without being caught.
func TestSecondSignal(t *testing.T) {
	cmd, addr := program(t, nil, newLarge(t))
	stuck(t, addr)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	refused(t, addr)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// The program may be a moment from letting signals through again.
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case err := <-ended:
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
				t.Errorf("the program ended with %v, want its end by the signal", err)
			}
			return
		case <-again.C:
			// It fails if the program has just ended, which the next round sees.
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
	}
}
