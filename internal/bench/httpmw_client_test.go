//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"golang.org/x/sys/unix"
)

// An httpLoad is connections to one server that one thread asks in turn, each with one
// request under way.
type httpLoad struct {
	*streamLoad
	got  []int  // bytes of the response of each connection
	want []byte // a response, which differs from others in the time alone
	date int    // where that is
}

var stackRequest = []byte("GET " + stackPath + " HTTP/1.1\r\n" +
	"Host: chores.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"\r\n")

func (c *child) obeyHTTP(o *order, a *answer) error {
	switch o.Do {
	case "httpmw-serve":
		return serveHTTP(o, a)
	case "httpmw-open":
		l, err := newHTTPLoad(o)
		if err != nil {
			return err
		}
		if c.http == nil {
			c.http = make(map[string]*httpLoad)
		}
		c.http[o.Addrs[0]] = l
		return nil
	case "httpmw-requests":
		return c.http[o.Addrs[0]].run(o, a)
	}
	return fmt.Errorf("nobody knows how to %q", o.Do)
}

// newHTTPLoad opens connections, and checks what the server answers.
func newHTTPLoad(o *order) (*httpLoad, error) {
	l := &httpLoad{got: make([]int, o.Count)}
	var err error
	if l.want, err = firstResponse(o); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Kind, err)
	}
	const before = "\r\nDate: "
	at := bytes.Index(l.want, []byte(before))
	if at < 0 {
		return nil, fmt.Errorf("%s: no date in %q", o.Kind, l.want)
	}
	l.date = at + len(before)
	l.streamLoad, err = newStreamLoad(o)
	return l, err
}

// firstResponse returns a response as it is sent, and checks it.
func firstResponse(o *order) ([]byte, error) {
	conn, err := net.Dial("tcp", o.Addrs[0])
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience * time.Millisecond)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(stackRequest); err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	response, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &raw)), nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	want := httptest.NewRecorder()
	stackHandlers[o.Handler].ServeHTTP(want, nil)
	if response.StatusCode != http.StatusOK || !bytes.Equal(body, want.Body.Bytes()) {
		return nil, fmt.Errorf("%s %q", response.Status, body)
	}
	if sniff := response.Header.Get("X-Content-Type-Options"); (sniff == "nosniff") == (o.Kind == kindNothing) {
		return nil, fmt.Errorf("X-Content-Type-Options: %q", sniff)
	}
	return raw.Bytes(), nil
}

// run makes so many requests, and compares each response.
func (l *httpLoad) run(o *order, a *answer) error {
	begin := time.Now()
	left, flying := o.Count, 0
	for i := range min(left, len(l.conns)) {
		if err := l.request(i); err != nil {
			return err
		}
		flying++
		left--
	}
	for flying > 0 {
		n, err := unix.EpollWait(l.epoll, l.events[:], patience)
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = errSilent
		}
		if err != nil {
			return err
		}
		for i := range l.events[:n] {
			at := int(l.events[i].Fd)
			done, err := l.receive(at)
			if err == nil && done {
				flying--
				a.Done++
				if left > 0 {
					left--
					flying++
					err = l.request(at)
				}
			}
			if err != nil {
				return err
			}
		}
	}
	a.All = time.Since(begin)
	return nil
}

func (l *httpLoad) request(i int) error {
	l.got[i] = 0
	n, err := unix.Write(l.conns[i].fd, stackRequest)
	if err == nil && n < len(stackRequest) {
		err = fmt.Errorf("%d bytes of %d were sent", n, len(stackRequest))
	}
	return err
}

// receive reports whether the response is complete.
func (l *httpLoad) receive(i int) (bool, error) {
	n, err := unix.Read(l.conns[i].fd, l.buffer)
	from := l.got[i]
	switch {
	case err != nil:
		return false, err
	case n == 0:
		return false, errors.New("the server closed the connection")
	case from+n > len(l.want) || !l.same(l.buffer[:n], from):
		return false, fmt.Errorf("%q came back, want %q", l.buffer[:n], l.want[from:])
	}
	l.got[i] += n
	return l.got[i] == len(l.want), nil
}

// same compares what came back with the response from somewhere on, except for the time.
func (l *httpLoad) same(b []byte, from int) bool {
	want := l.want[from : from+len(b)]
	first := min(max(l.date-from, 0), len(b))
	last := min(max(l.date+len(http.TimeFormat)-from, 0), len(b))
	return bytes.Equal(b[:first], want[:first]) && bytes.Equal(b[last:], want[last:])
}
