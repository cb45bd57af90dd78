package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/tftp"
)

// raw is a handler that writes what it is given as it is.
type raw struct {
	mu   sync.Mutex
	text strings.Builder
	n    int
}

func (*raw) Enabled(context.Context, slog.Level) bool { return true }
func (r *raw) WithAttrs([]slog.Attr) slog.Handler     { return r }
func (r *raw) WithGroup(string) slog.Handler          { return r }

func (r *raw) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	r.text.WriteString(record.Message)
	record.Attrs(func(a slog.Attr) bool {
		if a.Key != "stack" { // whose lines are this program's
			fmt.Fprintf(&r.text, "|%s=%s", a.Key, a.Value)
		}
		return true
	})
	return nil
}

// What the log says of a client's never has bytes that a terminal would obey, be it a
// name, an error that names it, or a panic.
func TestLogHasNothingRaw(t *testing.T) {
	const name = "a\r\n\x1b[2J\x7f\u202e\xff\"b"
	for what, open := range map[string]func(r *tftp.Request) (io.ReadCloser, error){
		"name":  func(*tftp.Request) (io.ReadCloser, error) { return stream{strings.NewReader("x")}, nil },
		"error": func(r *tftp.Request) (io.ReadCloser, error) { return nil, errors.New("no file " + r.Name) },
		"panic": func(r *tftp.Request) (io.ReadCloser, error) { panic("cannot open " + r.Name) },
		"read": func(r *tftp.Request) (io.ReadCloser, error) {
			return stream{failingReader{errors.New("cannot read " + r.Name)}}, nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				log := new(raw)
				p.server.Logger = slog.New(log)
				p.server.Open = func(_ context.Context, r *tftp.Request) (io.ReadCloser, error) { return open(r) }
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request(rrq(name, "utimeout \x1b[1m"))
					if g.next(time.Second) == "DATA 1 of 1" {
						g.ack(1)
					}
				})
				text := log.text.String()
				if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r > '~' }); i >= 0 {
					t.Errorf("the log has %.20q at byte %d:\n%q", text[i:], i, text)
				}
				if want := 1 + strings.Count(what, "panic"); log.n != want || !strings.Contains(text, "peer=192.0.2.2:2000") {
					t.Errorf("%d records, want %d: %q", log.n, want, text)
				}
			})
		})
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// A reported conversation is one with what the server reports of it.
type reported struct {
	name, request string
	play          func(g *guest)
	want          tftp.Transfer
	err           error
}

// conversations are one for each way a transfer may end.
func conversations() []reported {
	stats := func(size, n, blocks int64, blockSize, window int, timeout time.Duration) tftp.Stats {
		return tftp.Stats{Size: size, Bytes: n, Blocks: blocks, BlockSize: blockSize, WindowSize: window, Timeout: timeout}
	}
	return []reported{
		{
			"read", rrq("file", "blksize 600 timeout 3 tsize 0"),
			func(g *guest) {
				g.expect("OACK [{blksize 600} {timeout 3} {tsize 1000}]")
				g.ack(0)
				g.payload(1)
				g.payload(2)
			},
			tftp.Transfer{Stats: stats(1000, 1000, 2, 600, 1, 3*time.Second)},
			nil,
		},
		{
			"text", "\x00\x01file\x00NetAscii\x00",
			func(g *guest) { g.payload(1) },
			tftp.Transfer{Stats: stats(-1, 512, 1, 512, 1, 6*time.Second)},
			tftp.ErrNoAnswer,
		},
		{
			"write", wrq("up", "windowsize 2 tsize 700"),
			func(g *guest) {
				g.expect("OACK [{windowsize 2} {tsize 700}]")
				g.send(data(1, 512), data(2, 188))
				g.expect("ACK 2")
			},
			tftp.Transfer{Stats: stats(700, 700, 2, 512, 2, 6*time.Second), Write: true},
			nil,
		},
		{
			"refused", rrq("none", "blksize 9"),
			func(g *guest) { g.expect("ERROR 1 file not found") },
			tftp.Transfer{Stats: tftp.Stats{Size: -1}},
			fs.ErrNotExist,
		},
		{
			"probe", rrq("file", "tsize 0"),
			func(g *guest) {
				g.expect("OACK [{tsize 1000}]")
				g.send(&tftp.Error{Code: tftp.CodeOption})
			},
			tftp.Transfer{Stats: stats(1000, 0, 0, 512, 1, 6*time.Second), Probe: true},
			nil,
		},
		{
			"ERROR without a probe", rrq("file", "blksize 600"),
			func(g *guest) {
				g.expect("OACK [{blksize 600}]")
				g.send(&tftp.Error{Code: tftp.CodeOption, Message: "no"})
			},
			tftp.Transfer{Stats: stats(1000, 0, 0, 600, 1, 6*time.Second)},
			&tftp.Error{Code: tftp.CodeOption, Message: "no"},
		},
		{
			"client gives up", wrq("up", ""),
			func(g *guest) {
				g.expect("ACK 0")
				g.send(data(1, 512))
				g.expect("ACK 1")
				g.send(&tftp.Error{Code: tftp.CodeNotFound, Message: "gone"})
			},
			tftp.Transfer{Stats: stats(-1, 512, 1, 512, 1, 6*time.Second), Write: true},
			fs.ErrNotExist,
		},
	}
}

// What is reported of a read, a write, a refused request, a probe and a failure.
func TestReports(t *testing.T) {
	for _, tt := range conversations() {
		t.Run(tt.name, func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				var s store
				p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { return &s, nil }
				p.server.Open = func(ctx context.Context, r *tftp.Request) (io.ReadCloser, error) {
					if r.Name == "none" {
						return nil, fs.ErrNotExist
					}
					return tftp.Payload(bytes.Repeat([]byte("x"), 1000))(ctx, r)
				}
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request(tt.request)
					tt.play(g)
				})
				if len(p.reports) != 1 {
					t.Fatalf("%d reports, want 1", len(p.reports))
				}
				got := p.reports[0]
				if said, ok := tt.err.(*tftp.Error); ok {
					if err, ok := got.Err.(*tftp.Error); !ok || *err != *said {
						t.Errorf("Err = %v, want %v", got.Err, tt.err)
					}
				} else if !errors.Is(got.Err, tt.err) {
					t.Errorf("Err = %v, want %v", got.Err, tt.err)
				}
				if r := got.Request; r.Peer.String() != "192.0.2.2:2000" || r.Local != serverAddr || r.Mode != strings.ToLower(r.Mode) {
					t.Errorf("request %+v", r)
				}
				got.Stats.Duration, got.Stats.Resent = 0, 0 // which are tested elsewhere
				if got.Stats != tt.want.Stats || got.Write != tt.want.Write || got.Probe != tt.want.Probe {
					t.Errorf("report %+v, want %+v", got, tt.want)
				}
			})
		})
	}
}

// A file is closed once in whatever way its transfer ends.
func TestFilesAreClosed(t *testing.T) {
	for name, play := range map[string]func(p *path, g *guest){
		"success":     func(_ *path, g *guest) { g.payload(1); g.payload(2) },
		"silence":     func(*path, *guest) {},
		"ERROR":       func(_ *path, g *guest) { g.next(time.Second); g.send(&tftp.Error{Message: "stop"}) },
		"Close":       func(p *path, g *guest) { g.payload(1); g.next(0); p.server.Close() },
		"new request": func(_ *path, g *guest) { g.payload(1); g.request(rrq("other", "")) },
	} {
		t.Run(name, func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				s := &sources{files: map[string]string{"file": strings.Repeat("x", 600)}}
				p.server.Open = s.open
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request(read)
					play(p, g)
				})
				if opened, closed := s.counts(); opened != len(p.reports) || opened != closed {
					t.Errorf("%d opened, %d closed, %d reports", opened, closed, len(p.reports))
				}
			})
		})
	}
}

// Where there is no socket for a transfer, the client asks again if it is by
// shortage, and is told otherwise. What was opened is closed.
func TestNoSocketForATransfer(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{{syscall.EMFILE, "nothing"}, {syscall.EADDRNOTAVAIL, "ERROR 0 transfer failed"}} {
		synctest.Test(t, func(t *testing.T) {
			var u store
			s := &sources{files: map[string]string{"file": "x"}}
			p := newPath(nil, nil, &u)
			p.server.Open = s.open
			var fails atomic.Bool
			fails.Store(true)
			listen := p.server.ListenPacket
			p.server.ListenPacket = func(ctx context.Context, network, address string) (net.PacketConn, error) {
				if network != "udp4" || address != "192.0.2.1:0" {
					t.Errorf("ListenPacket(%q, %q)", network, address)
				}
				if fails.Load() {
					return nil, os.NewSyscallError("socket", tt.err)
				}
				return listen(ctx, network, address)
			}
			p.serve(t, func() {
				g := p.guest(t, 2000)
				for _, request := range []string{read, write} {
					g.request(request)
					if got := g.next(time.Second); got != tt.want {
						t.Errorf("received %q, want %q", got, tt.want)
					}
				}
				fails.Store(false)
				g.request(read)
				g.expect("DATA 1 of 1")
				g.ack(1)
			})
			if opened, closed := s.counts(); opened != 2 || closed != 2 {
				t.Errorf("%d opened and %d closed, want 2", opened, closed)
			}
			if u.aborted != 1 || u.committed != 0 {
				t.Errorf("%d aborted and %d committed, want 1 and none", u.aborted, u.committed)
			}
		})
	}
}

// A source that fails after a while fails the transfer, and the client is told,
// even if what failed is a transfer of its own.
func TestSourceFailsInTheMiddle(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "read", Path: "/secret/path", Err: syscall.EIO}, "ERROR 0 transfer failed"},
		{io.ErrUnexpectedEOF, "ERROR 0 transfer failed"},
		{fmt.Errorf("upstream: %w", &tftp.Error{Code: tftp.CodeNoUser, Message: "who?"}), "ERROR 7 who?"},
		{fmt.Errorf("upstream: %w", tftp.ErrNoAnswer), "ERROR 0 transfer failed"},
		{syscall.ENOMEM, "ERROR 0 transfer failed"},
	} {
		t.Run(tt.err.Error(), func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				p.server.Open = func(context.Context, *tftp.Request) (io.ReadCloser, error) {
					return stream{io.MultiReader(strings.NewReader(strings.Repeat("x", 700)), failingReader{tt.err})}, nil
				}
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request(read)
					g.payload(1)
					if got := g.next(time.Second); got != tt.want {
						t.Errorf("received %q, want %q", got, tt.want)
					}
					g.silence(time.Minute)
				})
				if len(p.reports) != 1 || !errors.Is(p.reports[0].Err, tt.err) {
					t.Errorf("reports %+v, want %v", p.reports, tt.err)
				}
			})
		})
	}
}

// A hook that returns nothing, and no error either, is as one that panics.
func TestHooksReturnNothing(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.server.Open = func(context.Context, *tftp.Request) (io.ReadCloser, error) { return nil, nil }
		p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { return nil, nil }
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(read)
			g.expect("ERROR 0 transfer failed")
			g.request(write)
			g.expect("ACK 0")
			g.send(data(1, 9))
			g.expect("ERROR 0 transfer failed")
		})
	})
}

// sink is an Upload that fails where it is told, and notes the calls.
type sink struct {
	write, commit func() error
	calls         []string
	cause         error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.write != nil {
		if err := s.write(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (s *sink) Commit() error {
	s.calls = append(s.calls, "Commit")
	if s.commit != nil {
		return s.commit()
	}
	return nil
}

func (s *sink) Abort(cause error) {
	s.calls = append(s.calls, "Abort")
	s.cause = cause
}

// Exactly one of Commit and Abort is called, Abort with a cause.
func TestUploadsEndOnce(t *testing.T) {
	failure := errors.New("disk on fire")
	fails := func() error { return failure }
	panics := func() error { panic(failure) }
	tests := []struct {
		name       string
		sink       sink
		last, want string
	}{
		{"success", sink{}, "ACK 1", "Commit"},
		{"Write fails", sink{write: fails}, "ERROR 0 transfer failed", "Abort"},
		{"Write panics", sink{write: panics}, "ERROR 0 transfer failed", "Abort"},
		{"disk full", sink{write: func() error { return syscall.ENOSPC }}, "ERROR 3 disk full or allocation exceeded", "Abort"},
		{"Commit fails", sink{commit: fails}, "ERROR 0 transfer failed", "Commit"},
		{"Commit panics", sink{commit: panics}, "ERROR 0 transfer failed", "Commit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				s := tt.sink
				p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { return &s, nil }
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request(write)
					g.expect("ACK 0")
					g.send(data(1, 9))
					g.expect(tt.last)
					g.silence(time.Minute)
				})
				if got := fmt.Sprint(s.calls); got != "["+tt.want+"]" || (s.cause == nil) != (tt.want == "Commit") {
					t.Errorf("called %s, with the cause %v, want %s once", got, s.cause, tt.want)
				}
			})
		})
	}
}
