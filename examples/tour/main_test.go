package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/netparts/netparts/unixauth"
)

// start runs the program with args.
func start(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestTour(t *testing.T) {
	random := make([]byte, 3<<20+7)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	for name, contents := range map[string][]byte{
		"empty":              nil,
		"one byte":           {0},
		"binary":             random,
		"name with \n\x1b[m": []byte("text"),
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.Contains(name, "\n") {
				t.Skip("no such file names on this system")
			}
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, contents, 0o600); err != nil {
				t.Fatal(err)
			}
			status, stdout, stderr := start(t, path)
			if status != 0 || stderr != "" {
				t.Fatalf("exit status %d, stderr %q", status, stderr)
			}
			lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
			if len(lines) != 2+len(stations) || lines[1] != "" {
				t.Fatalf("%d lines, want a headline, a blank and %d stations:\n%s", len(lines), len(stations), stdout)
			}
			sum := fmt.Sprintf("%x", sha256.Sum256(contents))
			if want := fmt.Sprintf("%q: %d bytes, SHA-256 %s", name, len(contents), sum); lines[0] != want {
				t.Errorf("headline %q, want %q", lines[0], want)
			}
			for i, s := range stations {
				want := fmt.Sprintf(`^%s +\S.*, %d bytes, SHA-256 %s equal, \S+s$`, s.part, len(contents), sum)
				if !regexp.MustCompile(want).MatchString(lines[2+i]) {
					t.Errorf("line %q does not match %s", lines[2+i], want)
				}
			}
		})
	}
}

func TestTourTakesTheREADMEByDefault(t *testing.T) {
	t.Chdir("../..")
	status, stdout, stderr := start(t)
	if status != 0 || !strings.HasPrefix(stdout, `"README.md": `) {
		t.Errorf("exit status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}

func TestTourWithoutAREADME(t *testing.T) {
	t.Chdir(t.TempDir())
	if status, _, stderr := start(t); status != 1 || !strings.HasPrefix(stderr, "tour: no README.md in this folder") {
		t.Errorf("exit status %d, stderr %q", status, stderr)
	}
}

func TestTourRefuses(t *testing.T) {
	folder := t.TempDir()
	plain := filepath.Join(folder, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		args   []string
		status int
		stderr string // a part of it
	}{
		{"missing file", []string{filepath.Join(folder, "missing")}, 1, "missing"},
		{"unreachable file", []string{filepath.Join(plain, "below")}, 1, "below"},
		{"name that would disturb a terminal", []string{"a\nb\x1b[m"}, 1, `a\nb\x1b[m`},
		{"empty name", []string{""}, 1, "stat"},
		{"directory", []string{folder}, 1, "is a directory"},
		{"two files", []string{"a", "b"}, 2, "one file at most"},
		{"unknown flag", []string{"-x"}, 2, "usage: tour [file]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, stdout, stderr := start(t, tt.args...)
			if status != tt.status || stdout != "" || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("exit status %d, stdout %q, stderr %q, want status %d and %q", status, stdout, stderr, tt.status, tt.stderr)
			}
			if tt.status == 1 && strings.Count(stderr, "\n") != 1 {
				t.Errorf("a failure in more than one line: %q", stderr)
			}
		})
	}
}

func TestTourOfAnUnreadableFile(t *testing.T) {
	path, want := filepath.Join(t.TempDir(), "secret"), "permission denied"
	if err := os.WriteFile(path, []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	switch {
	case runtime.GOOS == "linux" && os.Geteuid() == 0:
		// Root may open every file, but nobody can read address 0 of a process.
		path, want = "/proc/self/mem", "read /proc/self/mem"
	case os.Geteuid() <= 0:
		t.Skip("this user, or this system, may read everything")
	}
	status, stdout, stderr := start(t, path)
	if status != 1 || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}

func TestHelp(t *testing.T) {
	if status, _, stderr := start(t, "-h"); status != 0 || !strings.Contains(stderr, "usage: tour [file]") {
		t.Errorf("exit status %d, stderr %q", status, stderr)
	}
}

func TestInterruptedTour(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	status := run(ctx, []string{path}, &out, &errs)
	if status != 1 || errs.String() != "tour: interrupted while reading the file\n" {
		t.Errorf("exit status %d, stderr %q", status, errs.String())
	}

	ctx, cancel = context.WithCancel(t.Context())
	replaceStation(t, func(ctx context.Context, _ file) (arrival, error) {
		cancel()
		<-ctx.Done()
		return arrival{}, ctx.Err()
	})
	errs.Reset()
	status = run(ctx, []string{path}, &out, &errs)
	if status != 1 || errs.String() != "tour: interrupted at tlv\n" {
		t.Errorf("exit status %d, stderr %q", status, errs.String())
	}
}

// replaceStation makes the tour consist of one station that does what pass does.
func replaceStation(t *testing.T, pass func(context.Context, file) (arrival, error)) {
	before := stations
	t.Cleanup(func() { stations = before })
	stations = slices.Clone(stations[:1])
	stations[0].pass = pass
}

// An output that cannot be written has not shown that anything arrived.
func TestTourWithAFullOutput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("contents"), 0o600); err != nil {
		t.Fatal(err)
	}
	for lines := range 2 {
		var errs bytes.Buffer
		status := run(t.Context(), []string{path}, &fullAfter{lines}, &errs)
		if status != 1 || errs.String() != "tour: no space left\n" {
			t.Errorf("after %d lines: exit status %d, stderr %q", lines, status, errs.String())
		}
	}
}

type fullAfter struct{ writes int }

func (f *fullAfter) Write(p []byte) (int, error) {
	if f.writes--; f.writes < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

// What arrives differs where a station loses something; the tour must say so.
func TestTourTellsADifference(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("contents"), 0o600); err != nil {
		t.Fatal(err)
	}
	replaceStation(t, func(context.Context, file) (arrival, error) {
		return arrival{how: "lost a byte", size: 7}, nil
	})
	status, stdout, stderr := start(t, path)
	if status != 1 || !strings.Contains(stdout, " DIFFERS, ") || stderr != "tour: tlv: what arrived differs from the file\n" {
		t.Errorf("exit status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}

// A file that shrinks on the way is a failure, not a shorter success.
func TestFileThatShrinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{1001, 1 << 20} {
		f := file{path: path, name: "file", size: size}
		if got, err := passTLV(t.Context(), f); err == nil {
			t.Errorf("a file of 1000 bytes passed as one of %d: %+v", size, got)
		}
	}
}

// The stations tell what was agreed on.
func TestWhatTheStationsSay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("contents"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := start(t, path)
	if status != 0 {
		t.Fatalf("exit status %d, stderr %q", status, stderr)
	}
	socket := fmt.Sprintf("\nunixauth  from uid %d, as the kernel says, over a Unix socket of mode 0600, 8 bytes, ", os.Getuid())
	if runtime.GOOS == "windows" {
		socket = "\nunixauth  not sent, because this system has no peer credentials, 8 bytes, "
	}
	for _, want := range []string{
		"\nhttpmw    downloaded over h2c through 6 middleware, 2 requests observed, 8 bytes, ",
		"\ntlsutil   mutual TLS 1.3 with X25519MLKEM768, the client's address in its certificate, 8 bytes, ",
		socket,
		"\nhousework 1 chores in 3 calls of gRPC over mutual TLS, 8 bytes, ",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in\n%s", want, stdout)
		}
	}
}

// Where the system has no peer credentials the tour goes on, and says that nothing was sent.
func TestStationThatSendsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("contents"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := untransferred(file{path: path})
	want := arrival{how: "not sent, because this system has no peer credentials", size: 8, sum: sha256.Sum256([]byte("contents"))}
	if err != nil || got != want {
		t.Errorf("untransferred() = %+v, %v, want %+v", got, err, want)
	}
	if _, err := untransferred(file{path: path + ".none"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a missing file: %v", err)
	}
}

// A peer that is not let in is a failure, also of a file that nothing is written of.
func TestUnixauthStationThatIsDenied(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this system has no peer credentials")
	}
	for _, size := range []int{0, 8 << 20} {
		dir := t.TempDir()
		f := file{path: filepath.Join(dir, "file")}
		if err := os.WriteFile(f.path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		another := unixauth.UIDs(uint32(os.Geteuid()) + 1)
		got, err := throughSocket(t.Context(), filepath.Join(dir, "s"), another, f)
		if !errors.Is(err, unixauth.ErrDenied) {
			t.Errorf("a file of %d bytes: %+v, %v, want %v", size, got, err, unixauth.ErrDenied)
		}
	}
}

// Each end of the tlsutil station insists on a certificate of the other.
func TestMutualConfigurations(t *testing.T) {
	client, _, err := mutual()
	if err != nil {
		t.Fatal(err)
	}
	_, server, err := mutual() // of another authority
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(client *tls.Config){
		"client of another authority": func(client *tls.Config) { client.InsecureSkipVerify, client.VerifyConnection = true, nil },
		"server of another authority": func(*tls.Config) {},
	} {
		t.Run(name, func(t *testing.T) {
			here, there, err := connect()
			if err != nil {
				t.Fatal(err)
			}
			config := client.Clone()
			change(config)
			sent := make(chan error, 1)
			go func() {
				err := tls.Client(here, config).Handshake()
				here.Close()
				sent <- err
			}()
			got, err := receiveTLS(tls.Server(there, server))
			there.Close()
			if err == nil {
				t.Errorf("%+v was received", got)
			}
			<-sent
		})
	}
}

// A station whose file has gone says so, and one whose tour is over ends.
func TestStationsThatCannotPass(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, s := range stations {
		if got, err := s.pass(t.Context(), file{path: path + ".none", name: "file", size: 1}); err == nil {
			t.Errorf("%s: a file that is missing passed: %+v", s.part, got)
		}
		f := file{path: path, name: "file", size: 8 << 20}
		if got, err := s.pass(over, f); err == nil && got.size > f.size {
			t.Errorf("%s: %d bytes of %d arrived", s.part, got.size, f.size)
		}
	}
}

// A file that is longer than a list goes through several, whatever is left for the last.
func TestSeveralLists(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, size := range []int{4999, 5000, 5001} {
		contents := make([]byte, size)
		for i := range contents {
			contents[i] = byte(rand.Uint32())
		}
		if err := os.WriteFile(path, contents, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := throughLists(t.Context(), file{path: path}, 1000)
		if err != nil || got.size != int64(size) || got.sum != sha256.Sum256(contents) {
			t.Errorf("of %d bytes: %+v, %v", size, got, err)
		}
	}
}
