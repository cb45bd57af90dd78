package housework_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
	"github.com/netparts/netparts/internal/memnet"
)

// A logBrokenStore has a secret in its errors, and panics when it is to complete.
type logBrokenStore struct{ housework.MemoryStore }

var errLogSecret = errors.New("open /secret/path: no such file")

func (*logBrokenStore) List(context.Context, int, int) ([]housework.Chore, error) {
	return nil, errLogSecret
}

func (*logBrokenStore) Complete(context.Context, ...int) error { panic("at the disco") }

// Each call is one record, with what clients do not learn of.
func TestServerLogsCalls(t *testing.T) {
	var log serverJournal
	s := &housework.Server{Rosie: &housework.Rosie{Store: new(logBrokenStore)}, Logger: slog.New(&log)}
	c := serverPair(t, s, &housework.ClientOptions{})
	// A client has its answer before the record is written.
	logged := func(n int) {
		t.Helper()
		serverEventually(t, "record", func() bool { return len(log.all()) >= n })
	}
	serverAdd(t, c, "Dust")
	logged(1)
	_, err := c.Add(t.Context(), "one", nil)
	serverMust(t, err)
	logged(2)
	_, err = c.List(t.Context(), 1, 1)
	logged(3)
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("List: %v", err)
	}
	if err := c.Complete(t.Context(), 1); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "disco") {
		t.Errorf("Complete: %v", err)
	}
	logged(4)
	if err := c.Conn().Invoke(t.Context(), "/housework.RobotMaid/Fly", &houseworkv1.Chores{}, &houseworkv1.Chores{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("Fly: %v", err)
	}
	serverMust(t, s.Shutdown(t.Context()))
	type want struct {
		method, code string
		level        slog.Level
		text         string
	}
	wants := []want{
		{"/housework.RobotMaid/Add", "OK", slog.LevelInfo, ""},
		{"/housework.RobotMaid/Add", "OK", slog.LevelInfo, ""},
		{"/housework.RobotMaid/List", "Internal", slog.LevelError, errLogSecret.Error()},
		{"/housework.RobotMaid/Complete", "Internal", slog.LevelError, "at the disco"},
		{"/housework.RobotMaid/Fly", "Unimplemented", slog.LevelInfo, "unknown method"},
	}
	records, seen := log.all(), make(map[string]int)
	if len(records) != len(wants) {
		t.Fatalf("%d records, want %d: %v", len(records), len(wants), records)
	}
	// A call is recorded after its client was answered, so that the order may be another.
	order := func(r map[string]any) int {
		return slices.IndexFunc(wants, func(w want) bool { return w.method == r["method"] })
	}
	slices.SortStableFunc(records, func(a, b map[string]any) int { return order(a) - order(b) })
	for i, r := range records {
		// A record comes after the answer, so that the next call may overtake it.
		w := wants[max(0, slices.IndexFunc(wants, func(w want) bool { return w.method == r["method"] }))]
		seen[w.method]++
		text, _ := r["error"].(string)
		if r["msg"] != "call ended" || r["method"] != w.method || r["code"] != w.code || r["level"] != w.level || !strings.Contains(text, w.text) || (text == "") != (w.text == "") {
			t.Errorf("record %d: %v, want %v", i, r, w)
		}
		if d, ok := r["duration"].(time.Duration); !ok || d < 0 || d > serverPatience {
			t.Errorf("record %d: duration %v", i, r["duration"])
		}
		if remote, _ := r["remote"].(string); !strings.HasPrefix(remote, "127.0.0.1:") {
			t.Errorf("record %d: remote %v", i, r["remote"])
		}
	}
	if len(seen) != len(wants)-1 { // there are two of Add
		t.Errorf("records of %v", seen)
	}
}

// An OnError of one's own gets the errors instead, and keeps them out of the log. Rosie
// herself is not changed.
func TestServerLogsWithOnError(t *testing.T) {
	var log serverJournal
	got := make(chan error, 1)
	rosie := &housework.Rosie{Store: new(logBrokenStore), OnError: func(_ context.Context, err error) { got <- err }}
	s := &housework.Server{Rosie: rosie, Logger: slog.New(&log)}
	c := serverPair(t, s, &housework.ClientOptions{})
	if _, err := c.List(t.Context(), 1, 1); status.Code(err) != codes.Internal {
		t.Errorf("List: %v", err)
	}
	if err := <-got; !errors.Is(err, errLogSecret) {
		t.Errorf("OnError got %v", err)
	}
	serverMust(t, s.Shutdown(t.Context()))
	if r := log.all(); len(r) != 1 || strings.Contains(r[0]["error"].(string), "secret") {
		t.Errorf("logged %v", r)
	}
	rosie = serverRosie()
	s = &housework.Server{Rosie: rosie, Logger: slog.New(&log)}
	serverPair(t, s, &housework.ClientOptions{})
	if rosie.OnError != nil {
		t.Error("Rosie was changed")
	}
}

// The name of a method that there is not is as long as the client likes: what it costs it a
// few bytes to repeat must not fill the log.
func TestServerLogsLongNames(t *testing.T) {
	var log serverJournal
	s := &housework.Server{Rosie: serverRosie(), Logger: slog.New(&log)}
	c := serverPair(t, s, &housework.ClientOptions{})
	err := c.Conn().Invoke(t.Context(), "/"+strings.Repeat("long", 2000)+"/Fly", &houseworkv1.Chores{}, &houseworkv1.Chores{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("Invoke: %v", err)
	}
	serverMust(t, s.Shutdown(t.Context()))
	records := log.all()
	if text := fmt.Sprint(records); len(records) != 1 || !strings.Contains(text, "longlong") || len(text) > 500 {
		t.Errorf("%d bytes of records: %.600s", len(text), text)
	}
}

// An interceptor that panics fails its call alone.
func TestServerRecovers(t *testing.T) {
	var log serverJournal
	s := &housework.Server{Rosie: serverRosie(), Reflection: true, Logger: slog.New(&log), Options: []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
			panic("unary")
		}),
		grpc.ChainStreamInterceptor(func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error {
			panic("stream")
		}),
	}}
	c := serverPair(t, s, &housework.ClientOptions{})
	if _, err := c.List(t.Context(), 1, 1); status.Code(err) != codes.Internal {
		t.Errorf("List: %v", err)
	}
	// A client has its answer before the record is written.
	serverEventually(t, "record", func() bool { return len(log.all()) == 1 })
	stream, err := c.Conn().NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/grpc.health.v1.Health/Watch")
	serverMust(t, err)
	if err := stream.RecvMsg(&houseworkv1.Chores{}); status.Code(err) != codes.Internal {
		t.Errorf("stream: %v", err)
	}
	serverMust(t, s.Shutdown(t.Context()))
	// A call is recorded after its client was answered, so that the order may be another.
	wants := map[any]string{"/housework.RobotMaid/List": "panic: unary\n", "/grpc.health.v1.Health/Watch": "panic: stream\n"}
	records := log.all()
	for i, r := range records {
		text, _ := r["error"].(string)
		if want := wants[r["method"]]; want == "" || !strings.HasPrefix(text, want) || !strings.Contains(text, "goroutine ") {
			t.Errorf("record %d: %v", i, r)
		}
	}
	if len(records) != len(wants) {
		t.Errorf("%d records, want %d", len(records), len(wants))
	}
}

// Handshakes that fail are logged, not more than ten in a second, and the number of
// the others later. One that the end of the server cuts off is not.
func TestServerLogsHandshakes(t *testing.T) {
	config, _ := serverTLS(t)
	synctest.Test(t, func(t *testing.T) {
		var log serverJournal
		s := &housework.Server{Rosie: serverRosie(), TLSConfig: config, Logger: slog.New(&log)}
		visit := func() {
			client, conn := memnet.Pipe()
			defer client.Close()
			served := make(chan error, 1)
			go func() { served <- s.ServeConn(t.Context(), conn) }()
			_, err := io.WriteString(client, "GET /\x1b[31m HTTP/1.0\r\n\r\n")
			serverMust(t, err)
			_, _ = io.Copy(io.Discard, client) // until it has been refused
			serverMust(t, client.Close())
			serverMust(t, <-served)
		}
		for range 15 {
			visit()
		}
		time.Sleep(time.Second)
		visit()
		visit()
		client, conn := memnet.Pipe()
		defer client.Close()
		served := make(chan error, 1)
		go func() { served <- s.ServeConn(t.Context(), conn) }()
		synctest.Wait()
		serverMust(t, s.Shutdown(t.Context()))
		<-served
		records := log.all()
		if len(records) != 12 {
			t.Fatalf("%d records, want 12: %v", len(records), records)
		}
		for i, r := range records {
			var lost any
			if i == 10 {
				lost = int64(5)
			}
			remote, _ := r["remote"].(string)
			if text, _ := r["error"].(string); r["level"] != slog.LevelWarn || r["not_logged"] != lost || text == "" || strings.Contains(text, "\x1b") || remote == "" {
				t.Errorf("record %d: %v", i, r)
			}
		}
	})
}
