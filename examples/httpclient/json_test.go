package httpclient_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// A user is what the service of this lesson takes.
type user struct {
	First string `json:"first"`
	Last  string `json:"last"`
}

const maxUser = 1 << 10 // bytes of JSON

// newUsers returns the service. Methods refuses what is no POST, and says in its Allow header
// what is. DrainAndClose stands outside of all that may leave a body unread, so that
// the connection of a request that was refused serves the next one.
func newUsers(take func(user)) http.Handler {
	return httpmw.DrainAndClose(nil)(httpmw.Methods(map[string]http.Handler{
		http.MethodPost: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			u, status := readUser(w, r)
			if status != http.StatusOK {
				// What exactly was wrong is in the error. The client may learn the kind.
				http.Error(w, http.StatusText(status), status)
				return
			}
			take(u)
			w.WriteHeader(http.StatusAccepted)
		}),
	}))
}

// readUser returns what is in the body, or the status that says why there is no user in it.
func readUser(w http.ResponseWriter, r *http.Request) (u user, status int) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return user{}, http.StatusUnsupportedMediaType
	}
	// A body has no end if the client does not want it to.
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUser))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return user{}, http.StatusRequestEntityTooLarge
	}
	// Unmarshal, unlike the first Decode of a Decoder, takes one value and nothing behind it.
	if err != nil || json.Unmarshal(b, &u) != nil {
		return user{}, http.StatusBadRequest
	}
	return u, http.StatusOK
}

// postJSON sends v to a service that answers without a body of interest.
func postJSON(ctx context.Context, client *http.Client, url string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	// From a bytes.Reader, bytes.Buffer or strings.Reader NewRequest takes the length, and how
	// to send the body once more after a redirect. Other readers go out in chunks.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer drainAndClose(resp.Body, 4<<10) // of which nothing can be wrong any more
	// Do has no opinion on what a status means: 500 is no error to it.
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the service answers %s", resp.Status)
	}
	return nil
}

// A client posts a user as JSON, and the service has taken it.
func Example_postJSON() {
	taken := make(chan user, 1)
	server := httptest.NewServer(newUsers(func(u user) { taken <- u }))
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	if err := postJSON(ctx, server.Client(), server.URL, user{"Ada", "Lovelace"}); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", <-taken)
	fmt.Println(postJSON(ctx, server.Client(), server.URL, "nobody"))
	// Output:
	// {First:Ada Last:Lovelace}
	// the service answers 400 Bad Request
}

// What the service answers to each kind of request: one status for what went wrong, and the
// user only if nothing did.
func TestPostUser(t *testing.T) {
	const allow = "OPTIONS, POST"
	const kind = "application/json"
	ada := `{"first":"Ada","last":"Lovelace"}`
	var taken []user
	server := httptest.NewServer(newUsers(func(u user) { taken = append(taken, u) }))
	defer server.Close()
	client := server.Client()
	client.Timeout = time.Minute
	for _, tt := range []struct {
		method, kind, body string
		status             int
		allow              string
	}{
		{"GET", "", "", 405, allow},
		{"HEAD", "", "", 405, allow},
		{"PUT", kind, ada, 405, allow},
		{"post", kind, ada, 405, allow}, // methods are case-sensitive
		{"OPTIONS", "", "", 204, allow},
		{"POST", kind, ada, 202, ""},
		{"POST", kind + "; charset=utf-8", " " + ada + "\n", 202, ""},
		{"POST", "", ada, 415, ""},
		{"POST", "text/plain", ada, 415, ""},
		{"POST", "application/json; charset", ada, 415, ""},
		{"POST", kind, "", 400, ""},
		{"POST", kind, "{", 400, ""},
		{"POST", kind, `{"first":7}`, 400, ""},
		{"POST", kind, ada + ada, 400, ""},
		{"POST", kind, ada + strings.Repeat(" ", maxUser-len(ada)), 202, ""},
		{"POST", kind, ada + strings.Repeat(" ", maxUser-len(ada)+1), 413, ""},
	} {
		for _, chunked := range []bool{false, true} {
			taken = nil
			var body io.Reader = strings.NewReader(tt.body)
			if chunked {
				body = io.MultiReader(body) // whose length nobody knows
			}
			req, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL, body)
			if err != nil {
				t.Fatal(err)
			}
			if tt.kind != "" {
				req.Header.Set("Content-Type", tt.kind)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || resp.Header.Get("Allow") != tt.allow {
				t.Errorf("%s %.40q as %q: %d, Allow %q, want %d, %q", tt.method, tt.body, tt.kind, resp.StatusCode, resp.Header.Get("Allow"), tt.status, tt.allow)
			}
			if want := tt.status == 202; want && (len(taken) != 1 || taken[0] != user{"Ada", "Lovelace"}) || !want && taken != nil {
				t.Errorf("%s %.40q as %q: %d, and taken are %v", tt.method, tt.body, tt.kind, resp.StatusCode, taken)
			}
			if err := drainAndClose(resp.Body, 1<<10); err != nil {
				t.Error(err)
			}
		}
	}
}
