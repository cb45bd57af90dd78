//go:build linux

package httpmwbench

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/internal/bench/load"
)

// An order is what a server or a client is told.
type order struct {
	Do      string // "serve", or for clients "open", "ask" or "close"
	Kind    string // of the server
	Handler string // its name
	Addr    string // of the server
	Count   int    // of connections or requests
}

// An answer is what comes back.
type answer struct {
	Addr string // of the server
	Done lab.Done
}

var stackRequest = []byte("GET " + stackPath + " HTTP/1.1\r\n" +
	"Host: chores.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"\r\n")

// child is the main function of servers and clients.
func child() error {
	var conns *load.HTTP
	return lab.Obey(func(o *order, a *answer) (err error) {
		switch o.Do {
		case "serve":
			a.Addr, err = serve(o.Kind, o.Handler, func(err error) {
				fmt.Fprintln(os.Stderr, o.Kind+":", err)
				os.Exit(1)
			})
		case "open":
			conns, err = load.OpenHTTP(o.Addr, o.Count, stackRequest, o.check)
		case "ask":
			a.Done, err = conns.Run(o.Count)
		case "close":
			err = conns.Close()
		default:
			err = fmt.Errorf("nobody knows how to %q", o.Do)
		}
		return err
	})
}

// check returns an error unless a response is what the handler answers, and is marked as
// the middleware does.
func (o *order) check(r *http.Response, body []byte) error {
	want := httptest.NewRecorder()
	stackHandlers[o.Handler].ServeHTTP(want, nil)
	if r.StatusCode != http.StatusOK || !bytes.Equal(body, want.Body.Bytes()) {
		return fmt.Errorf("%s: %s %q", o.Kind, r.Status, body)
	}
	if sniff := r.Header.Get("X-Content-Type-Options"); (sniff == "nosniff") == (o.Kind == bare) {
		return fmt.Errorf("%s: X-Content-Type-Options: %q", o.Kind, sniff)
	}
	return nil
}
