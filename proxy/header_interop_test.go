package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/proxy"
)

// echoAddress serves connections of l: each client gets the address that it has.
func echoAddress(t *testing.T, l net.Listener) {
	t.Helper()
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s to %s", r.RemoteAddr, r.Context().Value(http.LocalAddrContextKey))
		}),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; err != http.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	})
}

// listenTCP listens on a free port, until the end of the test.
func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// runHAProxy runs HAProxy with a section until the end of the test, and returns where
// it listens. In the section LISTEN stands for its listening socket, which it inherits,
// so that nobody has to guess a port or when it is ready.
func runHAProxy(t *testing.T, network, section string) string {
	t.Helper()
	program := interop.Command(t, "haproxy", "haproxy")
	address := "127.0.0.1:0"
	if network == "tcp6" {
		address = "[::]:0" // for both families
		network = "tcp"
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const common = "global\n maxconn 100\ndefaults\n mode tcp\n timeout connect 10s\n timeout client 10s\n timeout server 10s\n"
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := common + strings.ReplaceAll(section, "LISTEN", "fd@3") + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(program, "-db", "-f", config)
	cmd.ExtraFiles = []*os.File{file} // which is 3
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // it says that it was killed
		if t.Failed() {
			t.Logf("HAProxy: %s", &log)
		}
	})
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + port
}

// get does a request on a new connection to address and returns the answer and the
// address of the client.
func get(t *testing.T, address string) (reply, client string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	send(t, conn, "GET / HTTP/1.0\r\n\r\n")
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(all), "\r\n\r\n")
	return body, conn.LocalAddr().String()
}

// HAProxy tells us the addresses of its clients, also those of IPv4 on a socket for
// both families, with every field that it can send.
func TestInteropHAProxySends(t *testing.T) {
	for _, tt := range []struct{ name, network, options string }{
		{"v1", "tcp4", "send-proxy"},
		{"v2", "tcp4", "send-proxy-v2"},
		{"v1 of both families", "tcp6", "send-proxy"},
		{"v2 of both families", "tcp6", "send-proxy-v2"},
		{"v2 with a checksum", "tcp4", "send-proxy-v2 proxy-v2-options crc32c"},
		{"v2 with all", "tcp4", "send-proxy-v2-ssl-cn proxy-v2-options crc32c,unique-id,authority,ssl,cert-cn,ssl-cipher,cert-sig,cert-key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inner := listenTCP(t)
			echoAddress(t, &proxy.HeaderListener{Listener: inner, Policy: policyOf(proxy.HeaderRequired)})
			address := runHAProxy(t, tt.network,
				"listen l\n bind LISTEN\n unique-id-format %pid-%Ts-%rt\n server s "+inner.Addr().String()+" "+tt.options)
			reply, client := get(t, address)
			if want := client + " to " + address; reply != want {
				t.Errorf("%q, want %q", reply, want)
			}
		})
	}
}

// Checks of HAProxy speak for themselves (LOCAL), and are accepted.
func TestInteropHAProxyChecks(t *testing.T) {
	inner := listenTCP(t)
	l := &proxy.HeaderListener{Listener: inner, Policy: policyOf(proxy.HeaderRequired)}
	defer l.Close()
	runHAProxy(t, "tcp4", "listen l\n bind LISTEN\n server s "+inner.Addr().String()+
		" check check-send-proxy send-proxy-v2 inter 100ms")
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h, ok := proxy.HeaderOf(conn)
	if !ok || !h.Local || conn.LocalAddr().String() != inner.Addr().String() {
		t.Errorf("HeaderOf = %+v, %v, at %v", h, ok, conn.LocalAddr())
	}
}

// HAProxy takes our headers, of both versions.
func TestInteropHAProxyAccepts(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			inner, l := listenTCP(t), listenTCP(t)
			echoAddress(t, &proxy.HeaderListener{Listener: inner, Policy: policyOf(proxy.HeaderRequired)})
			// It sends on, by the other version, what it has understood.
			haproxy := runHAProxy(t, "tcp4", "listen l\n bind LISTEN accept-proxy\n server s "+inner.Addr().String()+
				[]string{"", " send-proxy-v2", " send-proxy"}[version])
			server := &proxy.Server{Dial: proxy.To("tcp", haproxy), SendHeader: version}
			served := make(chan error, 1)
			go func() { served <- server.Serve(l) }()
			reply, client := get(t, l.Addr().String())
			if want := client + " to " + l.Addr().String(); reply != want {
				t.Errorf("%q, want %q", reply, want)
			}
			if err := server.Close(); err != nil {
				t.Error(err)
			}
			if err := <-served; err != proxy.ErrServerClosed {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

// HAProxy verifies the checksum that we set, and takes a header of 1000 bytes.
func TestInteropHAProxyChecksum(t *testing.T) {
	inner := listenTCP(t)
	echoAddress(t, &proxy.HeaderListener{Listener: inner, Policy: policyOf(proxy.HeaderRequired)})
	haproxy := runHAProxy(t, "tcp4", "listen l\n bind LISTEN accept-proxy\n server s "+inner.Addr().String()+" send-proxy")
	h := proxy.Header{Network: "tcp", Source: v4a, Destination: netip.MustParseAddrPort("198.51.100.7:80")}
	h.Extra = append([]byte("\x03\x00\x04abcd\x04\x03\xe8"), make([]byte, 1000)...)
	wire, err := h.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []bool{false, true} {
		if wrong {
			wire[len(wire)-1] ^= 1
		}
		conn, err := net.Dial("tcp", haproxy)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		send(t, conn, string(wire)+"GET / HTTP/1.0\r\n\r\n")
		all, err := io.ReadAll(conn)
		ok := err == nil && strings.HasSuffix(string(all), "\r\n\r\n192.0.2.1:56324 to 198.51.100.7:80")
		if ok == wrong {
			t.Errorf("with a wrong checksum: %v, answer %q, %v", wrong, all, err)
		}
		conn.Close()
	}
}

// curl sends a header of version 1.
func TestInteropCurlHeader(t *testing.T) {
	curl := interop.Command(t, "curl", "curl")
	inner := listenTCP(t)
	echoAddress(t, &proxy.HeaderListener{Listener: inner, Policy: policyOf(proxy.HeaderRequired)})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, curl, "--silent", "--show-error", "--noproxy", "*", "--haproxy-protocol",
		"--write-out", "|%{local_ip}:%{local_port} to %{remote_ip}:%{remote_port}", "http://"+inner.Addr().String()+"/")
	out, err := cmd.Output()
	got, want, _ := strings.Cut(string(out), "|")
	if err != nil || got != want || want == "" {
		t.Errorf("curl got %q, %v, want %q", got, err, want)
	}
}
