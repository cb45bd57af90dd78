package httpclient_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counted counts what is read of a body.
type counted struct {
	io.Reader
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// sendAfterLeave posts size bytes and asks for leave first. It returns the status, and how
// many bytes were sent.
func sendAfterLeave(ctx context.Context, client *http.Client, url string, size int64) (status int, sent int64, err error) {
	body := &counted{Reader: io.LimitReader(zeros{}, size)}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Expect", "100-continue")
	resp, err := client.Do(req)
	if err != nil {
		return 0, body.n.Load(), err
	}
	return resp.StatusCode, body.n.Load(), drainAndClose(resp.Body, 1<<10)
}

// A client with a large body sends the header alone, and the body when the server says
// "100 Continue", which net/http does as soon as a handler reads. If the server refuses, by
// its status, nothing of the body goes over the network.
func Example_expectContinue() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/full" {
			http.Error(w, "No space left", http.StatusInsufficientStorage)
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "Bad Request", http.StatusBadRequest)
		}
	}))
	defer server.Close()
	client := server.Client()
	client.Timeout = time.Minute
	// How long the client waits for an answer before it sends the body all the same, as
	// servers of old know nothing of this. If it is zero, it does not ask.
	client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute

	for _, path := range []string{"/free", "/full"} {
		status, sent, err := sendAfterLeave(context.Background(), client, server.URL+path, 1<<20)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %d after %d bytes\n", path, status, sent)
	}
	// Output:
	// /free: 200 after 1048576 bytes
	// /full: 507 after 0 bytes
}

// Without an answer the body is sent when ExpectContinueTimeout is over.
func TestExpectContinueTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var asked, got time.Duration
		client := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = time.Since(begin)
			// The connection itself, on which nobody says "100 Continue".
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if _, err := rw.ReadByte(); err != nil {
				t.Error(err)
			}
			got = time.Since(begin)
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_, _ = io.Copy(io.Discard, io.LimitReader(rw, 10)) // the rest, and then there is none
		}), func(_ *http.Server, tr *http.Transport) { tr.ExpectContinueTimeout = 3 * time.Second })
		status, sent, err := sendAfterLeave(t.Context(), client, memory, 5)
		if status != 200 || sent != 5 || err != nil {
			t.Errorf("%d after %d bytes, %v", status, sent, err)
		}
		if asked != 0 || got != 3*time.Second {
			t.Errorf("the header came after %v and the body after %v, want 0s and 3s", asked, got)
		}
	})
}
