//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/netparts/netparts/internal/bench/lab"
)

// TestMain lets the test be what its children are started as.
func TestMain(m *testing.M) {
	if name := lab.Child(); name != "" {
		if err := child(name, append(parts(), hanging(nil))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestEveryCase does as little of each as can be.
func TestEveryCase(t *testing.T) {
	for _, p := range parts() {
		t.Run(p.Name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			args := []string{"-tiny", "-rounds=2", "-parts=" + p.Name, "-o=" + t.TempDir()}
			code := run(t.Context(), parts(), args, &stdout, &stderr)
			if code != 0 || stderr.Len() > 0 {
				t.Errorf("exit status %d: %s", code, &stderr)
			}
			t.Log(stdout.String())
		})
	}
}

func TestFlags(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // on standard error, in one line
	}{
		{"unknown part", []string{"-parts=tlv,nope"}, 2, `no part is called "nope"; there are tlv`},
		{"part named twice", []string{"-parts=tlv,tlv"}, 2, "the part tlv is named twice"},
		{"bad expression", []string{"-cases=("}, 2, "error parsing regexp"},
		{"no such case", []string{"-cases=^nope$"}, 2, `no case matches "^nope$"`},
		{"no rounds", []string{"-rounds=0"}, 2, "-rounds must be 1 or more"},
		{"stray argument", []string{"tlv"}, 2, `unexpected argument "tlv"`},
		{"from without a folder", []string{"-from=x"}, 2, "-from needs -o"},
		{"from with parts", []string{"-from=x", "-o=" + dir, "-parts=tlv"}, 2, "without -parts and -cases"},
		{"no such file", []string{"-from=" + filepath.Join(dir, "none"), "-o=" + dir}, 1, "no such file"},
		{"truncated file", []string{"-from=" + file("truncated", `{"Rounds": 7, "Par`), "-o=" + dir}, 1, "unexpected end of JSON input"},
		{"file without figures", []string{"-from=" + file("empty", "{}"), "-o=" + dir}, 1, "has no figures"},
		{"file for a folder", []string{"-tiny", "-o=" + file("file", "")}, 1, "not a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), parts(), tt.args, &stdout, &stderr)
			line := stderr.String()
			if code != tt.code || !strings.HasPrefix(line, "bench: ") || !strings.Contains(line, tt.want) {
				t.Errorf("exit status %d and %q, want %d and %q", code, line, tt.code, tt.want)
			}
			if strings.Count(line, "\n") != 1 || stdout.Len() > 0 {
				t.Errorf("it printed %q, and %q to standard output, want one line", line, &stdout)
			}
		})
	}
	for _, tt := range []struct {
		flag string
		code int
	}{{"-h", 0}, {"-nope", 2}} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), parts(), []string{tt.flag}, &stdout, &stderr); code != tt.code || !strings.Contains(stderr.String(), "-rounds") {
			t.Errorf("%s: exit status %d and %q, want %d and the usage", tt.flag, code, &stderr, tt.code)
		}
	}
}

// What is made of a file again is what the run has made.
func TestFrom(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	list := []lab.Part{{Name: "made", Job: "nothing", Cases: []lab.Case{{
		Name: "case", Sides: lab.Sides(lab.Ours, "peer"), Metrics: []lab.Metric{{Name: "cost"}},
		Run: func(t *lab.T) {
			for t.Round() {
				for side := range t.Turns() {
					t.Record(side, "cost", 1.5)
				}
			}
		},
	}}}}
	var stdout, stderr bytes.Buffer
	for _, args := range [][]string{
		{"-tiny", "-o=" + first},
		{"-from=" + filepath.Join(first, resultsFile), "-o=" + second},
	} {
		if code := run(t.Context(), list, args, &stdout, &stderr); code != 0 {
			t.Fatalf("exit status %d: %s", code, &stderr)
		}
	}
	for _, name := range []string{"RESULTS.md", "made.svg"} {
		sameFile(t, filepath.Join(first, name), filepath.Join(second, name))
	}
	data, err := os.ReadFile(filepath.Join(first, resultsFile))
	if err != nil {
		t.Fatal(err)
	}
	if line := regexp.MustCompile(`(?m)^\s*[-+.0-9e]+,?$`).Find(data); line != nil {
		t.Errorf("the number %s has a line of its own", line)
	}
}

// sameFile fails unless the two files are the same.
func sameFile(t *testing.T, name, other string) {
	t.Helper()
	a, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("%s and %s differ", name, other)
	}
}

// hanging is a part whose child does not answer. The channel is told its number when it is
// about to be asked.
func hanging(working chan<- int) lab.Part {
	return lab.Part{
		Name: "hanging",
		Child: func() error {
			return lab.Obey(func(hang *bool, _ *struct{}) error {
				if *hang {
					never := make(chan os.Signal, 1)
					signal.Notify(never, syscall.SIGUSR1)
					<-never
				}
				return nil
			})
		},
		Cases: []lab.Case{{
			Name: "hanging", Sides: lab.Sides(lab.Ours), Metrics: []lab.Metric{{Name: "cost"}},
			Run: func(t *lab.T) {
				name := filepath.Join(t.TempDir(), "file")
				t.Fatal(os.WriteFile(name, []byte("what a case has written"), 0o600))
				p := t.Start(lab.Ours)
				lab.Tell[struct{}](p, false)
				working <- p.PID
				lab.Tell[struct{}](p, true)
			},
		}},
	}
}

// Whoever interrupts the program finds nothing left of it.
func TestInterrupted(t *testing.T) {
	temporary, out := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	ctx, cancel := context.WithCancel(t.Context())
	working := make(chan int)
	list := []lab.Part{hanging(working), hanging(working)}
	list[1].Name = "not begun"
	var stdout, stderr bytes.Buffer
	code := make(chan int)
	go func() { code <- run(ctx, list, []string{"-o=" + out}, &stdout, &stderr) }()
	pid := <-working
	cancel()
	if c := <-code; c != 1 || stderr.String() != "bench: interrupted: context canceled\n" {
		t.Errorf("exit status %d and %q, want 1 and one line", c, &stderr)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the child is still there (error: %v)", err)
	}
	for _, dir := range []string{temporary, out} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in a folder: %v (error: %v)", left, err)
		}
	}
}
