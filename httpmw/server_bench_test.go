package httpmw_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// What the limits cost on a connection of HTTP/1.1 that is kept.
func BenchmarkServer(b *testing.B) {
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			b.Error(err)
		}
	})
	requests := map[string]string{
		"GET":     get,
		"POST":    post + "Content-Length: 1024\r\n\r\n" + strings.Repeat("x", 1<<10),
		"POST1M":  post + "Content-Length: 1048576\r\n\r\n" + strings.Repeat("x", 1<<20),
		"chunked": chunked + "400\r\n" + strings.Repeat("x", 1<<10) + "\r\n0\r\n\r\n",
	}
	for _, kind := range []string{"GET", "POST", "POST1M", "chunked"} {
		for _, limits := range []string{"bare", "NewServer"} {
			b.Run(kind+"/"+limits, func(b *testing.B) {
				srv := httptest.NewUnstartedServer(handler)
				if limits == "NewServer" {
					srv.Config = httpmw.NewServer(handler, nil)
				}
				srv.Start()
				defer srv.Close()
				conn, err := net.Dial("tcp", srv.Listener.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				defer conn.Close()
				r := bufio.NewReader(conn)
				b.SetBytes(int64(len(requests[kind])))
				b.ReportAllocs()
				for b.Loop() {
					if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
						b.Fatal(err)
					}
					if _, err := io.WriteString(conn, requests[kind]); err != nil {
						b.Fatal(err)
					}
					resp, err := http.ReadResponse(r, nil)
					if err != nil {
						b.Fatal(err)
					}
					resp.Body.Close()
				}
			})
		}
	}
}
