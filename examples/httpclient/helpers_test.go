package httpclient_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/netparts/netparts/internal/memnet"
)

// memory is where inMemory serves.
const memory = "http://192.0.2.1/"

// inMemory serves h on a network in memory until the test ends, and returns a client of it.
// In a bubble of testing/synctest, time passes on it when everybody waits.
func inMemory(t *testing.T, h http.Handler, set ...func(*http.Server, *http.Transport)) *http.Client {
	t.Helper()
	var network memnet.Network
	l, err := network.Listen("tcp", "192.0.2.1:80")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	transport := &http.Transport{DialContext: network.DialContext}
	for _, f := range set {
		f(server, transport)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return &http.Client{Transport: transport}
}

// versions are those of HTTP that both ends of inMemory can be set to speak.
var versions = []struct {
	name string
	set  func(*http.Server, *http.Transport)
}{
	{"HTTP/1.1", func(*http.Server, *http.Transport) {}},
	{"HTTP/2", func(s *http.Server, tr *http.Transport) {
		s.Protocols, tr.Protocols = new(http.Protocols), new(http.Protocols)
		s.Protocols.SetUnencryptedHTTP2(true)
		tr.Protocols.SetUnencryptedHTTP2(true)
	}},
}

// do sends a request and returns the response, which the caller closes.
func do(ctx context.Context, client *http.Client, method, url string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}
