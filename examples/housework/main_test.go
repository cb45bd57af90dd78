package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/netparts/netparts/housework"
)

// start runs the program with args.
func start(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

// prints checks that the program succeeds and prints want.
func prints(t *testing.T, want string, args ...string) {
	t.Helper()
	status, stdout, stderr := start(t, args...)
	if status != 0 || stdout != want || stderr != "" {
		t.Errorf("%q: exit status %d, stdout\n%sstderr %q, want\n%s", args, status, stdout, stderr, want)
	}
}

// fails checks that the program fails with one line that holds the texts.
func fails(t *testing.T, args []string, texts ...string) {
	t.Helper()
	status, stdout, stderr := start(t, args...)
	if status != 1 || stdout != "" || !strings.HasPrefix(stderr, "housework: ") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("%q: exit status %d, stdout %q, stderr %q, want 1, nothing and one line", args, status, stdout, stderr)
	}
	for _, text := range texts {
		if !strings.Contains(stderr, text) {
			t.Errorf("%q: stderr %q, want %q in it", args, stderr, text)
		}
	}
}

func contents(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const head = "#\t[X]\tDescription\n"

// What the book shows of its program, for each format.
func TestTranscriptOfTheBook(t *testing.T) {
	for format, want := range map[housework.Format]string{
		housework.JSON: `[{"Complete":false,"Description":"Mop floors"},{"Complete":true,"Description":"Clean dishes"},` +
			`{"Complete":false,"Description":"Mow the lawn"}]` + "\n",
		housework.Gob: "", // whose bytes depend on what else the process encodes
		housework.Protobuf: "\n\x0c\x12\x0aMop floors" + "\n\x10\x08\x01\x12\x0cClean dishes" +
			"\n\x0e\x12\x0cMow the lawn",
	} {
		t.Run(format.String(), func(t *testing.T) {
			t.Chdir(t.TempDir())
			var args []string
			if format != housework.JSON {
				args = []string{"-format", format.String()}
			}
			with := func(more ...string) []string { return append(args[:len(args):len(args)], more...) }
			prints(t, "You're all caught up!\n", with()...)
			prints(t, head+"1\t[ ]\tMop floors\n2\t[ ]\tClean dishes\n3\t[ ]\tMow the lawn\n",
				with("add", "Mop", "floors,", "Clean", "dishes,", "Mow", "the", "lawn")...)
			done := head + "1\t[ ]\tMop floors\n2\t[X]\tClean dishes\n3\t[ ]\tMow the lawn\n"
			prints(t, done, with("complete", "2")...)
			prints(t, done, with()...)
			prints(t, done) // the format is told from the file

			b := contents(t, "housework.db")
			if want != "" && string(b) != want {
				t.Errorf("the file is %q, want %q", b, want)
			}
			if chores, err := format.Load(bytes.NewReader(b)); err != nil || len(chores) != 3 {
				t.Errorf("the file has %d chores, %v", len(chores), err)
			}
		})
	}
}

// A quoted chore may have commas, and several can be completed at once.
func TestQuotesAndNumbers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list")
	prints(t, head+"1\t[ ]\tMop floors\n2\t[ ]\tDust, all rooms\n3\t[ ]\tSay \"hi\"\n",
		"-file", file, "add", `Mop floors, "Dust, all rooms", Say "hi"`)
	done := head + "1\t[X]\tMop floors\n2\t[ ]\tDust, all rooms\n3\t[X]\tSay \"hi\"\n"
	prints(t, done, "-file", file, "complete", "3", "1")
	fails(t, []string{"-file", file, "complete", "2", "4"}, "housework: chore 4 not found\n")
	fails(t, []string{"-file", file, "complete", "2", "99999999999999999999"}, "chore 99999999999999999999 not found\n")
	prints(t, done, "-file", file)
}

// Where nothing is added, no file is made.
func TestNothingToAdd(t *testing.T) {
	dir := t.TempDir()
	prints(t, "You're all caught up!\n", "-file", filepath.Join(dir, "list"), "add", " ,, ")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the folder has %v, %v, want nothing", entries, err)
	}
	fails(t, []string{"-file", filepath.Join(dir, "list"), "complete", "1"}, "chore 1 not found")
	if _, err := os.Lstat(filepath.Join(dir, "list")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a list was made: %v", err)
	}
}

// A file in one format is not opened in another, and stays as it is.
func TestAnotherFormat(t *testing.T) {
	formats := []string{"json", "gob", "protobuf"}
	for _, format := range formats {
		file := filepath.Join(t.TempDir(), "list")
		prints(t, head+"1\t[ ]\ta\n", "-file", file, "-format", strings.ToUpper(format), "add", "a")
		before := contents(t, file)
		for _, other := range formats {
			if other != format {
				fails(t, []string{"-file", file, "-format", other, "add", "b"},
					file+" is a list in "+format+", and -format says "+other+"\n")
			}
		}
		if after := contents(t, file); !bytes.Equal(after, before) {
			t.Errorf("%s: the file was %q and is %q", format, before, after)
		}
		prints(t, head+"1\t[ ]\ta\n2\t[ ]\tb\n", "-file", file, "add", "b")
	}
}

func TestFailure(t *testing.T) {
	dir := t.TempDir()
	damaged := filepath.Join(dir, "damaged")
	if err := os.WriteFile(damaged, []byte(`[{"Complete":fal`), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, []string{"-file", damaged, "add", "a"}, damaged, "json")
	if got := contents(t, damaged); string(got) != `[{"Complete":fal` {
		t.Errorf("the damaged file is %q now", got)
	}
	fails(t, []string{"-file", dir, "add", "a"}, dir)
	fails(t, []string{"-file", filepath.Join(dir, "none", "list"), "add", "a"}, "none")
	list := filepath.Join(dir, "list")
	fails(t, []string{"-file", list, "add", strings.Repeat("a", housework.MaxDescription+1)}, "1")
	fails(t, []string{"-file", list, "add", "fine, \xff"}, "chore 2")
	if _, err := os.Lstat(list); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a list was made of what cannot be chores: %v", err)
	}
}

func TestMisuse(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{
		{"remove", "1"},
		{"complete"},
		{"complete", "one"},
		{"complete", ""},
		{"add", `"Dust, all rooms`},
		{"-format", "xml"},
		{"-format", ""},
		{"-file", ""},
		{"-no-such-flag"},
	} {
		status, stdout, stderr := start(t, args...)
		if status != 2 || stdout != "" {
			t.Errorf("%q: exit status %d, stdout %q, want 2 and nothing", args, status, stdout)
		}
		first, usage, _ := strings.Cut(stderr, "\n")
		if !strings.HasPrefix(first, "housework: ") || !strings.HasPrefix(usage, "Usage: housework [flags]") {
			t.Errorf("%q: stderr %q, want one line and the usage", args, stderr)
		}
	}
	if status, stdout, stderr := start(t, "-h"); status != 0 || stdout != "" || !strings.HasPrefix(stderr, "Usage: housework") {
		t.Errorf("-h: exit status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) > 0 {
		t.Errorf("the folder has %v, %v, want nothing", entries, err)
	}
}

// An interrupted change is told as such, and was made as a whole or not at all.
func TestInterrupted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct{ verb, want string }{
		{"add", "housework: interrupted; the list may have been changed\n"},
		{"", "housework: interrupted\n"},
	} {
		args := []string{"-file", file}
		if tt.verb != "" {
			args = append(args, tt.verb, "a, b")
		}
		var out, errs bytes.Buffer
		if status := run(ctx, args, &out, &errs); status != 1 || out.Len() > 0 || errs.String() != tt.want {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q, want %q", args, status, &out, &errs, tt.want)
		}
	}
	prints(t, "You're all caught up!\n", "-file", file)
}

// An output that cannot be written is a failure; the change was made.
func TestBrokenOutput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list")
	var errs bytes.Buffer
	status := run(t.Context(), []string{"-file", file, "add", "a"}, brokenOutput{}, &errs)
	if status != 1 || errs.String() != "housework: broken pipe\n" {
		t.Errorf("exit status %d, stderr %q", status, &errs)
	}
	prints(t, head+"1\t[ ]\ta\n", "-file", file)
}

// brokenOutput fails.
type brokenOutput struct{}

func (brokenOutput) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestMain lets the test binary be the program.
func TestMain(m *testing.M) {
	if os.Getenv("HOUSEWORK_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// process returns the program as a process of its own.
func process(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "HOUSEWORK_TEST_MAIN=1")
	return cmd
}

// Processes that add at the same time lose nothing of each other.
func TestProcesses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list")
	results := make(chan error)
	const processes = 8
	for i := range processes {
		go func() {
			out, err := process("-file", file, "add", fmt.Sprintf("a%d, b%d", i, i)).CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			results <- err
		}()
	}
	for range processes {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	_, stdout, _ := start(t, "-file", file)
	for i := range processes {
		for _, name := range []string{"a", "b"} {
			if want := fmt.Sprintf("\t%s%d\n", name, i); strings.Count(stdout, want) != 1 {
				t.Errorf("chore %q is not there once:\n%s", want, stdout)
			}
		}
	}
}

// A signal while a change is made leaves the list before or the list after.
func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	file := filepath.Join(t.TempDir(), "list")
	prints(t, head+"1\t[ ]\tfirst\n", "-file", file, "add", "first")
	lines := 2
	for range 10 {
		cmd := process("-file", file, "add", "a, b, c")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		added := cmd.Wait() == nil
		status, stdout, stderr := start(t, "-file", file)
		now := strings.Count(stdout, "\n")
		if status != 0 || now != lines && now != lines+3 || added && now == lines {
			t.Fatalf("added is %v, %d lines before, exit status %d, stderr %q, now\n%s", added, lines, status, stderr, stdout)
		}
		lines = now
	}
}
