package housework_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/tlsutil"
)

// serverPatience is how long a test waits for what should come at once.
const serverPatience = 20 * time.Second

func serverMust(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serverCA makes an authority, and what a server and a client of it have.
func serverCA(t testing.TB) (ca *tlsutil.CA, server, client *tlsutil.Material) {
	t.Helper()
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	serverMust(t, err)
	serverCert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"127.0.0.1", "localhost"}, Server: true})
	serverMust(t, err)
	clientCert, err := ca.Issue(tlsutil.Leaf{Name: "maid", Client: true})
	serverMust(t, err)
	return ca, &tlsutil.Material{Certificate: serverCert, Roots: ca.Pool()},
		&tlsutil.Material{Certificate: clientCert, Roots: ca.Pool()}
}

// serverTLS returns the configurations of a server and of a client that trusts it.
func serverTLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	_, material, _ := serverCA(t)
	server, err := tlsutil.ServerConfig(material, nil)
	serverMust(t, err)
	client, err = tlsutil.ClientConfig(&tlsutil.Material{Roots: material.Roots}, nil)
	serverMust(t, err)
	return server, client
}

// serverRosie returns a Rosie over an empty list in memory.
func serverRosie() *housework.Rosie {
	return &housework.Rosie{Store: new(housework.MemoryStore)}
}

// serverListen lets s serve on a free port until the end of the test.
func serverListen(t testing.TB, s *housework.Server) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	serverMust(t, err)
	serverServe(t, s, l)
	return l.Addr().String()
}

func serverServe(t testing.TB, s *housework.Server, l net.Listener) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != housework.ErrServerClosed {
			t.Errorf("Serve: %v, want %v", err, housework.ErrServerClosed)
		}
		ctx, cancel := context.WithTimeout(context.Background(), serverPatience)
		defer cancel()
		serverMust(t, s.Shutdown(ctx))
	})
}

func serverDial(t testing.TB, address string, o *housework.ClientOptions) *housework.Client {
	t.Helper()
	c, err := housework.Dial(t.Context(), address, o)
	serverMust(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// serverPair returns a client of a server with TLS. Both end with the test.
func serverPair(t testing.TB, s *housework.Server, o *housework.ClientOptions) *housework.Client {
	t.Helper()
	s.TLSConfig, o.TLSConfig = serverTLS(t)
	return serverDial(t, serverListen(t, s), o)
}

func serverAdd(t testing.TB, s housework.Store, descriptions ...string) {
	t.Helper()
	for _, d := range descriptions {
		_, err := s.Add(t.Context(), "", []housework.Chore{{Description: d}})
		serverMust(t, err)
	}
}

// serverWantList compares the descriptions of a list, separated by commas.
func serverWantList(t testing.TB, s housework.Store, want string) {
	t.Helper()
	var got []string
	for c, err := range housework.All(t.Context(), s) {
		serverMust(t, err)
		got = append(got, c.Description)
	}
	if list := strings.Join(got, ","); list != want {
		t.Errorf("list is %q, want %q", list, want)
	}
}

// serverJournal keeps records.
type serverJournal struct {
	mu      sync.Mutex
	records []map[string]any
}

func (*serverJournal) Enabled(context.Context, slog.Level) bool { return true }

func (j *serverJournal) Handle(_ context.Context, r slog.Record) error {
	m := map[string]any{"msg": r.Message, "level": r.Level}
	r.Attrs(func(a slog.Attr) bool {
		m[a.Key] = a.Value.Any()
		return true
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, m)
	return nil
}

func (j *serverJournal) WithAttrs([]slog.Attr) slog.Handler { return j }
func (j *serverJournal) WithGroup(string) slog.Handler      { return j }

func (j *serverJournal) all() []map[string]any {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]map[string]any(nil), j.records...)
}

// serverEventually waits until what holds, which happens in other goroutines.
func serverEventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(serverPatience); !holds(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, serverPatience)
		}
	}
}
