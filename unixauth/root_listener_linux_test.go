package unixauth_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/unixauth"
)

func init() {
	children["refused"] = refusedChild
}

// refusedChild connects to a path, a number of times at once, and again and again until its
// input ends. Each time it must be denied. It prints "ready" when all have been denied once,
// and how often at the end.
func refusedChild(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	var ended atomic.Bool
	go func() {
		untilEOF()
		ended.Store(true)
	}()
	total := 0
	for total == 0 || !ended.Load() {
		conns := make([]net.Conn, n)
		for i := range conns {
			if conns[i], err = net.DialTimeout("unix", args[0], patience); err != nil {
				return err
			}
		}
		for _, conn := range conns {
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				return err
			}
			b, err := io.ReadAll(conn)
			if string(b) != "denied\n" || err != nil {
				return fmt.Errorf("read %q, %w", b, err)
			}
			if err := conn.Close(); err != nil {
				return err
			}
		}
		if total == 0 {
			fmt.Println("ready")
		}
		total += n
	}
	fmt.Println(total)
	return nil
}

// While a thousand clients of ours are silent, and those of another user are denied by the
// thousand, we get in.
func TestRootListenerUnderLoad(t *testing.T) {
	interop.Root(t)
	const silent, allowed = 1000, 300
	path := filepath.Join(publicFolder(t), "s")
	inner := listen(t, path, unixauth.Options{Mode: 0o666})
	must(t, inner.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Time{}))
	var denied atomic.Int64
	l := &unixauth.Listener{
		Listener: inner, Policy: policy(t, unixauth.Self()), Message: "denied\n",
		OnDeny: func(err error) {
			if d, ok := errors.AsType[*unixauth.DeniedError](err); !ok || d.Cred.UID != 71002 {
				t.Errorf("denied: %v", err)
			}
			denied.Add(1)
		},
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		serveEcho(t, l)
	}()
	defer func() {
		must(t, l.Close())
		<-served
	}()
	for range silent {
		dial(t, inner.Addr())
	}
	c := start(t, "refused", as(71002, 71002), path, "200")
	if got := c.line(t); got != "ready" {
		t.Fatal(got)
	}
	for i := range allowed {
		client := dial(t, inner.Addr())
		message := strconv.Itoa(i)
		_, err := io.WriteString(client, message)
		must(t, err)
		b := make([]byte, len(message))
		if _, err := io.ReadFull(client, b); string(b) != message || err != nil {
			t.Fatalf("echo %q, %v", b, err)
		}
		must(t, client.Close())
	}
	for denied.Load() < 1000 {
		conn := dial(t, inner.Addr()) // goes on meanwhile
		must(t, conn.Close())
	}
	must(t, c.stdin.Close())
	told := c.line(t)
	must(t, c.cmd.Wait())
	if got := strconv.FormatInt(denied.Load(), 10); got != told {
		t.Errorf("%s were denied, and %s were told", got, told)
	}
	t.Logf("%s were denied while %d got in", told, allowed)
}

// serveEcho echoes on each connection until l is closed.
func serveEcho(t *testing.T, l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept: %v", err)
			}
			return
		}
		if c, ok := unixauth.CredFrom(conn); !ok || int(c.UID) != os.Geteuid() {
			t.Errorf("accepted %v", c)
		}
		go func() {
			defer conn.Close()
			_, _ = io.Copy(conn, conn) // the client checks it
		}()
	}
}
