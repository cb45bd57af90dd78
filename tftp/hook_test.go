package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/tftp"
)

// What hooks return is told to the client by code, and never with a path.
func TestHookErrors(t *testing.T) {
	at := func(err error) error { return &fs.PathError{Op: "open", Path: "/secret/path", Err: err} }
	tests := []struct {
		err  error
		want string
	}{
		{at(fs.ErrNotExist), "ERROR 1 file not found"},
		{at(syscall.ENOENT), "ERROR 1 file not found"},
		{at(fs.ErrPermission), "ERROR 2 access violation"},
		{at(fs.ErrInvalid), "ERROR 2 access violation"},
		{at(syscall.ENOSPC), "ERROR 3 disk full or allocation exceeded"},
		{at(syscall.EDQUOT), "ERROR 3 disk full or allocation exceeded"},
		{at(fs.ErrExist), "ERROR 6 file already exists"},
		{at(syscall.EIO), "ERROR 0 transfer failed"},
		{errors.New("at /secret/path"), "ERROR 0 transfer failed"},
		{&tftp.Error{Code: tftp.CodeNoUser, Message: "who are you?"}, "ERROR 7 who are you?"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				p.server.Open = func(context.Context, *tftp.Request) (io.ReadCloser, error) { return nil, tt.err }
				p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { return nil, tt.err }
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request(read)
					g.expect(tt.want)
					g.request(write)
					g.expect(tt.want)
				})
				for _, r := range p.reports {
					if !errors.Is(r.Err, tt.err) {
						t.Errorf("reported %v, want %v", r.Err, tt.err)
					}
				}
			})
		})
	}
}

// Without hooks everything is refused.
func TestNoHooks(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.server.Open, p.server.Create = nil, nil
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(read)
			g.expect("ERROR 2 access violation")
			g.request(write)
			g.expect("ERROR 2 access violation")
		})
	})
}

// A panic in a hook ends one transfer, and is told to the log.
func TestHookPanics(t *testing.T) {
	for _, where := range []string{"Open", "Read", "Close", "Create", "Write", "Commit", "Abort"} {
		t.Run(where, func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				var log bytes.Buffer
				p.server.Logger = slog.New(slog.NewTextHandler(&log, nil))
				f := faulty(where)
				p.server.Open = func(context.Context, *tftp.Request) (io.ReadCloser, error) { f.at("Open"); return f, nil }
				p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { f.at("Create"); return f, nil }
				p.serve(t, func() {
					g := p.guest(t, 2000)
					switch where {
					case "Open", "Read", "Close":
						g.request(read)
						if where == "Close" {
							g.expect("DATA 1 of 4")
							g.ack(1)
						}
					case "Create":
						g.request(write)
					default:
						g.request(write)
						g.expect("ACK 0")
						if where == "Abort" {
							g.send(&tftp.Error{Message: "stop"})
						} else {
							g.send(data(1, 10))
						}
					}
					if where != "Abort" {
						g.expect("ERROR 0 transfer failed")
					}
					synctest.Wait()
					p.serves([]byte("fine"))
					g = p.guest(t, 2001)
					g.request(read)
					g.expect("DATA 1 of 4")
					g.ack(1)
				})
				if r := p.reports[0]; r.Err == nil || !strings.Contains(r.Err.Error(), "panicked: at "+where) || p.reports[1].Err != nil {
					t.Errorf("reports %+v", p.reports)
				}
				if !strings.Contains(log.String(), "hook_test.go") {
					t.Errorf("the log does not say where:\n%s", &log)
				}
			})
		})
	}
}

// A faulty file panics in one method.
type faulty string

func (f faulty) at(where string) {
	if string(f) == where {
		panic("at " + where)
	}
}

func (f faulty) Read(p []byte) (int, error) {
	f.at("Read")
	return copy(p, "fine"), io.EOF
}

func (f faulty) Close() error                { f.at("Close"); return nil }
func (f faulty) Write(p []byte) (int, error) { f.at("Write"); return len(p), nil }
func (f faulty) Commit() error               { f.at("Commit"); return nil }
func (f faulty) Abort(error)                 { f.at("Abort") }

// An upload is stored before the last ACK, and if that fails there is none.
func TestCommitComesBeforeTheLastAck(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		var failure error
		p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) {
			return &slowCommit{err: failure}, nil
		}
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(write)
			g.expect("ACK 0")
			g.send(data(1, 10))
			if got := g.next(999 * time.Millisecond); got != "nothing" {
				t.Errorf("before Commit returned came %s", got)
			}
			g.expect("ACK 1")
			failure = syscall.ENOSPC
			g = p.guest(t, 2001)
			g.request(write)
			g.expect("ACK 0")
			g.send(data(1, 10))
			time.Sleep(999 * time.Millisecond)
			g.expect("ERROR 3 disk full or allocation exceeded")
		})
		if p.reports[0].Err != nil || !errors.Is(p.reports[1].Err, syscall.ENOSPC) {
			t.Errorf("reports %+v", p.reports)
		}
	})
}

// slowCommit takes a second to store a file.
type slowCommit struct {
	store
	err error
}

func (s *slowCommit) Commit() error {
	time.Sleep(time.Second)
	return s.err
}

// The report and the log say what was done, and nothing of the client's is raw in
// them.
func TestReportsAndLog(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		var log bytes.Buffer
		p.server.Logger = slog.New(slog.NewTextHandler(&log, nil))
		p.serves(random(1000))
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request("\x00\x01a\n\x1b[31mb\x00octet\x00blksize\x00600\x00")
			g.expect("OACK [{blksize 600}]")
			time.Sleep(time.Millisecond)
			g.ack(0)
			g.expect("DATA 1 of 600")
			g.send(&tftp.Error{Code: 99, Message: "bad\nline"})
		})
		r := p.reports[0]
		if said, ok := errors.AsType[*tftp.Error](r.Err); !ok || said.Code != 99 || said.Message != "bad\nline" {
			t.Errorf("Err = %v", r.Err)
		}
		if r.Request.Peer.String() != "192.0.2.2:2000" || r.Request.Local != serverAddr || r.Write || r.Probe ||
			r.Request.Name != "a\n\x1b[31mb" || r.BlockSize != 600 || r.WindowSize != 1 || r.Duration != time.Millisecond {
			t.Errorf("report %+v", r)
		}
		if line := log.String(); strings.Count(line, "\n") != 1 || strings.ContainsAny(line, "\x1b") || !strings.Contains(line, "direction=read") {
			t.Errorf("log %q", line)
		}
	})
}
