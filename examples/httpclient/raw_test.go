package httpclient_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A request is a few lines of text that end with an empty one, and one may write them by
// hand, to see what a server does. [http.ReadResponse] takes the status and the headers
// of the answer off the connection, and no more: here it returns although the server has
// not yet made the body, which is read from the connection as it comes.
func Example_rawRequest() {
	wanted := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		if err := http.NewResponseController(w).Flush(); err != nil { // sends the headers
			log.Print(err)
		}
		<-wanted
		fmt.Fprintf(w, "Hello, %s!\n", r.URL.Query().Get("name"))
	}))
	defer server.Close()

	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		log.Fatal(err)
	}
	// The Host header tells the sites of an address apart. HTTP/1.1 demands it.
	_, err = io.WriteString(conn, "GET /?name=reader HTTP/1.1\r\n"+
		"Host: example.com\r\n"+
		"\r\n")
	if err != nil {
		log.Fatal(err)
	}

	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Proto, resp.Status)
	fmt.Println("Content-Type:", resp.Header.Get("Content-Type"))
	fmt.Println("Transfer-Encoding:", resp.TransferEncoding) // as its length is not known
	close(wanted)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", body)
	// Output:
	// HTTP/1.1 200 OK
	// Content-Type: text/plain
	// Transfer-Encoding: [chunked]
	// Hello, reader!
}

// A request of HTTP/1.1 without a Host header is refused (RFC 9112 section 3.2), as
// those find out who type one into netcat.
func Example_rawRequestWithoutHost() {
	server := httptest.NewServer(http.NotFoundHandler()) // which is not reached
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		log.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		log.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.StatusCode)
	fmt.Println(string(body))
	// Output:
	// 400
	// 400 Bad Request: missing required Host header
}

// What ReadResponse is told of the request decides where the body ends: the answer to HEAD
// has the headers of one to GET, Content-Length included, and no body at all.
func TestRawHead(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
	for _, tt := range []struct {
		method, rest, body string
		err                error
	}{
		{"GET", "hello", "hello", nil},
		{"GET", "", "", io.ErrUnexpectedEOF},
		{"HEAD", "", "", nil},
	} {
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer+tt.rest)), &http.Request{Method: tt.method})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if string(body) != tt.body || err != tt.err || resp.ContentLength != 5 {
			t.Errorf("%s: body %q, %v, length %d, want %q, %v, 5", tt.method, body, err, resp.ContentLength, tt.body, tt.err)
		}
		resp.Body.Close()
	}
}
