package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/interop"
)

// A client that has lost the member that it talks to, and notices nothing, waits as long
// as it may.
const stuck = callLimit

var longest = regexp.MustCompile(`longest wait for an acknowledgement: (\S+)\n`)

// runDrill runs the program and checks that nothing was lost.
func runDrill(t *testing.T, args ...string) {
	t.Helper()
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), append([]string{"-self-contained", "-dir", dir}, args...), &stdout, &stderr)
	t.Logf("exit status %d, stdout\n%s", status, &stdout)
	out := stdout.String()
	if status != 0 || stderr.Len() > 0 || !strings.Contains(out, ", lost 0, added twice 0\n") {
		t.Errorf("exit status %d, stderr %q", status, &stderr)
	}
	if !strings.HasPrefix(out, "listening on unix ") {
		t.Error("the first line is another")
	}
	if m := longest.FindStringSubmatch(out); m == nil {
		t.Error("it does not tell how long a client waited")
	} else if d, err := time.ParseDuration(m[1]); err != nil || d >= stuck {
		t.Errorf("a client waited for %s, %v", m[1], err)
	}
	nothingIn(t, dir)
}

// nothingIn checks that nothing was left in a folder.
func nothingIn(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); len(entries) > 0 || err != nil {
		t.Errorf("in the folder are %v, %v", entries, err)
	}
}

func TestLeaderKilled(t *testing.T) { runDrill(t, "-for", "2s") }

func TestInteropMembersKilled(t *testing.T) {
	interop.Slow(t)
	runDrill(t, "-for", "5s", "-kill", "leader,follower,leader", "-writers", "64")
}

// A signal ends the members, and removes their data.
func TestSignal(t *testing.T) {
	for _, until := range []string{"listening on", "killed"} {
		t.Run(until, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			r, w := io.Pipe()
			var stderr bytes.Buffer
			status := make(chan int, 1)
			go func() {
				status <- run(ctx, []string{"-self-contained", "-for", "2s", "-dir", dir}, w, &stderr)
				w.Close()
			}()
			lines := bufio.NewScanner(r)
			for lines.Scan() && !strings.HasPrefix(lines.Text(), until) {
				continue
			}
			stop()
			for lines.Scan() {
				continue
			}
			if got := <-status; got != 1 || stderr.String() != "housework-etcd: "+errEnded.Error()+"\n" {
				t.Errorf("exit status %d, stderr %q", got, &stderr)
			}
			nothingIn(t, dir)
		})
	}
}

// The members end with the program, in whatever way that ends. They hold its standard
// error, of which the end is seen when none of them is left.
func TestProgramKilled(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, programCommand, "-self-contained", "-dir", t.TempDir())
	cmd.Stderr = w
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || !strings.HasPrefix(line, "listening on ") {
		t.Errorf("first line %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	if text, err := io.ReadAll(r); err != nil || len(text) > 0 {
		t.Errorf("stderr %q, %v", text, err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it was not killed")
	}
}

// A list that is not what was acknowledged is told as such.
func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		name  string
		texts []string
		want  verdict
	}{
		{"as it should be", []string{"a", "b", "c"}, verdict{chores: 3, acked: 3}},
		{"the last is lost", []string{"a", "b"}, verdict{chores: 2, acked: 3, lost: 1}},
		{"one is lost", []string{"a", "c"}, verdict{chores: 2, acked: 3, lost: 2}},
		{"twice", []string{"a", "b", "c", "b"}, verdict{chores: 4, acked: 3, doubled: 1}},
		{"one more", []string{"a", "b", "c", "d"}, verdict{chores: 4, acked: 3}},
		{"empty", nil, verdict{acked: 3, lost: 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var store housework.MemoryStore
			for _, text := range tt.texts {
				if _, err := store.Add(t.Context(), "", []housework.Chore{{Description: text}}); err != nil {
					t.Fatal(err)
				}
			}
			l := load{acked: map[int]string{1: "a", 2: "b", 3: "c"}}
			got, err := l.compare(t.Context(), &store)
			if got != tt.want || err != nil {
				t.Errorf("compare = %+v, %v, want %+v", got, err, tt.want)
			}
			if err := got.wrong(got, "m0"); (err == nil) != (tt.name == "as it should be") {
				t.Errorf("wrong: %v", err)
			}
		})
	}
	good := verdict{chores: 3, acked: 3}
	if good.wrong(verdict{chores: 2, acked: 3, lost: 1}, "m0") == nil {
		t.Error("a member that has less is not told")
	}
	if (verdict{}).wrong(verdict{}, "m0") == nil {
		t.Error("that nothing was added is not told")
	}
}
