package logging_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// saveChores writes through a buffer, which is flushed at the end whatever happens before. An
// error is returned: who called decides what it means.
func saveChores(w io.Writer, chores ...string) (err error) {
	buffer := bufio.NewWriter(w)
	defer func() { err = errors.Join(err, buffer.Flush()) }()
	for _, chore := range chores {
		if chore == "" {
			return errors.New("a chore without a name")
		}
		if _, err := fmt.Fprintln(buffer, chore); err != nil {
			return err
		}
	}
	return nil
}

// Only main ends a program, and only there is nothing left to do. All below returns errors, so
// that what was deferred is done on the way: here the first chore is saved.
func Example_errorInsteadOfFatal() {
	run := func(stdout, stderr io.Writer) (status int) {
		logger := log.New(stderr, "chores: ", 0)
		if err := saveChores(stdout, "sweep", ""); err != nil {
			logger.Print(err)
			return 1
		}
		return 0
	}
	fmt.Println("exit status", run(os.Stdout, os.Stdout)) // main has os.Exit(run(...))
	// Output:
	// sweep
	// chores: a chore without a name
	// exit status 1
}

// fatalFile is the variable of the environment that makes TestFatalSkipsDeferredCalls the
// program that it is about. Its value is the file to write to.
const fatalFile = "NETPARTS_LOGGING_FATAL"

// endByFatal saves a chore, and ends the program before it is flushed.
func endByFatal(name string) {
	file, err := os.Create(name)
	if err != nil {
		panic(err) // another status than that of Fatal
	}
	defer file.Close()
	buffer := bufio.NewWriter(file)
	defer buffer.Flush() // in vain
	fmt.Fprintln(buffer, "sweep")
	log.SetFlags(0)
	log.Fatal("a chore without a name")
}

// Log.Fatal ends the program at once, with status 1: no deferred call runs, of no goroutine.
// What stands in buffers is lost, and each request that another goroutine serves is cut. The
// test starts itself as that program.
func TestFatalSkipsDeferredCalls(t *testing.T) {
	if name := os.Getenv(fatalFile); name != "" {
		endByFatal(name)
		return
	}
	name := filepath.Join(t.TempDir(), "chores")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-test.run=^TestFatalSkipsDeferredCalls$")
	cmd.Env = append(os.Environ(), fatalFile+"="+name)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("the program ended with %v, want status 1", err)
	}
	if !strings.Contains(stderr.String(), "a chore without a name\n") {
		t.Errorf("the standard error is %q", &stderr)
	}
	saved, err := os.ReadFile(name)
	if err != nil || len(saved) > 0 {
		t.Errorf("the file has %q, %v; want it to be empty", saved, err)
	}
}

// Of a request that cannot be served, a panic ends that request alone, since net/http recovers
// it, and runs what is deferred. Log.Panic says and does that; an error says it better.
func TestPanicRunsDeferredCalls(t *testing.T) {
	var b, saved bytes.Buffer
	logger := log.New(&b, "", 0)
	func() {
		defer func() {
			if v := recover(); v != "a chore without a name" {
				t.Errorf("the panic is of %v", v)
			}
		}()
		buffer := bufio.NewWriter(&saved)
		defer buffer.Flush()
		fmt.Fprintln(buffer, "sweep")
		logger.Panic("a chore without a name")
	}()
	if b.String() != "a chore without a name\n" || saved.String() != "sweep\n" {
		t.Errorf("the log is %q, and saved is %q", &b, &saved)
	}
}
