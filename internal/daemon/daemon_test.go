package daemon_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/netparts/netparts/internal/daemon"
)

func TestDaemon(t *testing.T) {
	d := daemon.Start(t, func(ctx context.Context, args []string, stdout, stderr io.Writer) int {
		fmt.Fprintln(stdout, "listening on udp", args[0])
		<-ctx.Done()
		fmt.Fprint(stderr, "bye")
		return 0
	}, "udp", "127.0.0.1:7")
	if d.Addr != "127.0.0.1:7" {
		t.Errorf("Addr = %q", d.Addr)
	}
	d.End(t)
	if s := d.Stderr.String(); s != "bye" {
		t.Errorf("Stderr = %q", s)
	}
}

// The first line of a program that speaks HTTP is a URL.
func TestFirstLineOfHTTP(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		line := strings.NewReader("listening on " + scheme + "://127.0.0.1:80\n")
		if addr := daemon.FirstLine(t, line, scheme); addr != "127.0.0.1:80" {
			t.Errorf("FirstLine = %q", addr)
		}
	}
}
