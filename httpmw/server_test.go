package httpmw_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// Clients that say nothing, or too slowly, are cut.
func TestServerCutsSilentClients(t *testing.T) {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	tests := []struct {
		name  string
		first string
		drip  string // every 3 seconds
		want  time.Duration
	}{
		{"nothing", "", "", 10 * time.Second},
		{"part of a header", "GET / HTTP/1.1\r\nHost:", "", 10 * time.Second},
		{"header that drips", "GET / HTTP/1.1\r\nHost: h\r\nX: ", "x", 10 * time.Second},
		{"next header drips", get + "GET", " ", 10 * time.Second},
		{"idle", get, "", 2 * time.Minute},
		{"part of the preface", preface[:20], "", 10 * time.Second},
		{"preface alone", preface, "", 2 * time.Second},
		{"no answer to a ping", preface + settings, "", 30 * time.Second},
		{"headers that do not end", preface + settings + "\x00\x00\x00\x01\x00\x00\x00\x00\x01", "", 30 * time.Second},
		{"empty continuations", preface + settings + "\x00\x00\x00\x01\x00\x00\x00\x00\x01", "\x00\x00\x00\x09\x00\x00\x00\x00\x01", 30 * time.Second},
		{"part of a frame", preface + settings + "\x00\x01\x00\x01\x04\x00\x00\x00\x01", "x", 30 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := paceServe(t, func(http.ResponseWriter, *http.Request) {}).dial()
				begin := time.Now()
				c.send(tt.first)
				if tt.drip != "" {
					c.drip(3*time.Second, tt.drip)
				}
				if _, err := io.Copy(io.Discard, c); err == nil || tt.drip == "" {
					c.Close()
				}
				if took := time.Since(begin); took < tt.want || took > tt.want+2*time.Second {
					t.Errorf("the connection ends after %v, want %v", took, tt.want)
				}
			})
		})
	}
}

// A client of HTTP/2 that answers pings and asks for nothing is idle.
func TestServerCutsIdleHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := attack(paceServe(t, func(http.ResponseWriter, *http.Request) {}))
		begin := time.Now()
		<-c.ended
		if took := time.Since(begin); took < 2*time.Minute || took > 2*time.Minute+2*time.Second {
			t.Errorf("the connection ends after %v, want 2m0s", took)
		}
	})
}

func TestServerCutsSilentTLSClients(t *testing.T) {
	spare := httptest.NewUnstartedServer(nil) // for its certificate
	spare.StartTLS()
	config := &tls.Config{Certificates: spare.TLS.Certificates, NextProtos: []string{"h2"}}
	spare.Close()
	for _, hello := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := new(paceServer)
			l, err := s.network.Listen("tcp", ":80")
			if err != nil {
				t.Fatal(err)
			}
			srv := httpmw.NewServer(nil, nil)
			srv.TLSConfig = config
			go srv.ServeTLS(l, "", "")
			defer func() { srv.Close(); time.Sleep(time.Hour) }()
			conn, err := s.network.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			begin := time.Now()
			if hello { // and then no preface
				c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
				if err := c.Handshake(); err != nil {
					t.Fatal(err)
				}
			}
			io.Copy(io.Discard, conn)
			if took := time.Since(begin); took < 10*time.Second || took > 11*time.Second {
				t.Errorf("handshake %t: the connection ends after %v, want 10s", hello, took)
			}
		})
	}
}

func TestServerLimitsHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := paceServe(t, func(http.ResponseWriter, *http.Request) {})
		for _, tt := range []struct{ size, status int }{{60 << 10, 200}, {72 << 10, 431}} {
			c := s.dial()
			value := strings.Repeat("x", tt.size)
			go io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nX: "+value+"\r\n\r\n")
			if resp, _ := c.answer(); resp.StatusCode != tt.status {
				t.Errorf("HTTP/1.1: %d bytes of headers are answered with %d, want %d", tt.size, resp.StatusCode, tt.status)
			}
			status := attack(s).headers(tt.size)
			if status != fmt.Sprint(tt.status) {
				t.Errorf("HTTP/2: %d bytes of headers are answered with %q, want %d", tt.size, status, tt.status)
			}
		}
	})
}

func TestServerDefaults(t *testing.T) {
	t.Run("nil handler", func(t *testing.T) {
		mux := http.DefaultServeMux
		defer func() { http.DefaultServeMux = mux }()
		http.DefaultServeMux = http.NewServeMux()
		http.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
		w := httptest.NewRecorder()
		httpmw.NewServer(nil, nil).Handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("answer is %d, want 404", w.Code)
		}
	})
	t.Run("nil logger", func(*testing.T) {
		httpmw.NewServer(nil, nil).ErrorLog.Print("nobody hears of it")
	})
	srv := httpmw.NewServer(nil, nil)
	if srv.ReadTimeout != 0 || srv.WriteTimeout != 0 {
		t.Error("a limit on whole requests or responses breaks long ones")
	}
}

// What net/http logs holds values of panics, and so what clients have sent.
func TestServerLogsNothingRaw(t *testing.T) {
	var b bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "stack" && !strings.Contains(a.Value.String(), "panics") {
			return slog.Attr{}
		}
		if a.Key == slog.MessageKey && strings.ContainsAny(a.Value.String(), "\x1b\n") {
			t.Errorf("the message is %q", a.Value)
		}
		return a
	}}))
	srv := httpmw.NewServer(nil, logger)
	srv.ErrorLog.Print("http: panic serving 192.0.2.1: \x1b[31m\xff" + strings.Repeat("x", 2000) + "\nforged line")
	srv.ErrorLog.Print("short")
	want := `level=WARN msg="http: panic serving 192.0.2.1: \\x1b[31m\\xff` + strings.Repeat("x", 1024-43) + "...\"\nlevel=WARN msg=short\n"
	if got := b.String(); got != want {
		t.Errorf("log is %d bytes\n%s, want %d bytes\n%s", len(got), got, len(want), want)
	}
}
