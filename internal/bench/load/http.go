//go:build linux

package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/bench/lab"
)

// HTTP is connections to one server that are kept alive, and ask for the same again and
// again, each with one request under way.
type HTTP struct {
	*Streams
	request []byte
	got     []int  // bytes of the response of each connection
	want    []byte // a response, which differs from others in the time alone
	date    int    // where that is
}

// OpenHTTP opens so many connections that make a request, which is a whole one of HTTP/1.1
// without a body. It makes one over a connection of its own first, whose response check
// has to accept. All others must have the same bytes, but for the date.
func OpenHTTP(addr string, count int, request []byte, check func(r *http.Response, body []byte) error) (*HTTP, error) {
	want, err := firstResponse(addr, request, check)
	if err != nil {
		return nil, err
	}
	const before = "\r\nDate: "
	at := bytes.Index(want, []byte(before))
	if at < 0 {
		return nil, fmt.Errorf("no date in %q", want)
	}
	l := &HTTP{request: request, got: make([]int, count), want: want, date: at + len(before)}
	l.Streams, err = open(addr, count, func(s *Streams, at int) error {
		l.Streams = s
		return l.ask(at)
	})
	return l, err
}

// firstResponse returns a response as it is sent.
func firstResponse(addr string, request []byte, check func(*http.Response, []byte) error) ([]byte, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(request); err != nil {
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
	return raw.Bytes(), check(response, body)
}

// Run makes count requests, and compares each response.
func (l *HTTP) Run(count int) (lab.Done, error) { return l.exchange(count, l.send, l.receive) }

// ask makes one request, and waits for the response.
func (l *HTTP) ask(at int) error {
	if err := l.send(at); err != nil {
		return err
	}
	for {
		done, err := l.receive(at)
		if err == unix.EINTR {
			continue // a limit of time keeps the kernel from going on by itself
		}
		if err != nil || done {
			return err
		}
	}
}

func (l *HTTP) send(at int) error {
	l.got[at] = 0
	n, err := unix.Write(l.conns[at].fd, l.request)
	if err == nil && n < len(l.request) {
		err = fmt.Errorf("%d bytes of %d were sent", n, len(l.request))
	}
	return err
}

func (l *HTTP) receive(at int) (bool, error) {
	n, err := unix.Read(l.conns[at].fd, l.buffer)
	from := l.got[at]
	switch {
	case err != nil:
		return false, err
	case n == 0:
		return false, errors.New("the server closed the connection")
	case from+n > len(l.want) || !l.same(l.buffer[:n], from):
		return false, fmt.Errorf("%q came back, want %q", l.buffer[:n], l.want[from:])
	}
	l.got[at] += n
	return l.got[at] == len(l.want), nil
}

// same compares what came back with the response from somewhere on, except for the time.
func (l *HTTP) same(b []byte, from int) bool {
	want := l.want[from : from+len(b)]
	first := min(max(l.date-from, 0), len(b))
	last := min(max(l.date+len(http.TimeFormat)-from, 0), len(b))
	return bytes.Equal(b[:first], want[:first]) && bytes.Equal(b[last:], want[last:])
}
