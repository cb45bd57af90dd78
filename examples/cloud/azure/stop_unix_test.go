//go:build unix

package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/netparts/netparts/examples/cloud/internal/rig"
	"github.com/netparts/netparts/examples/cloud/xkcd"
)

// A request that is being answered when the signal comes gets its answer.
func TestSignalDuringARequest(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		f := rig.NewFeed(t, rig.Walk)
		asked, answer := make(chan struct{}), make(chan struct{})
		f.OnRequest(func() { close(asked); <-answer })
		p := rig.Start(t, "azure", portVariable+"=0", xkcd.FeedVariable+"="+f.URL)
		url := p.FirstURL(t)
		got := make(chan string, 1)
		go func() {
			resp, err := http.Post(url+functionPath, "application/json", strings.NewReader("{}"))
			if err != nil {
				got <- err.Error()
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				got <- err.Error()
				return
			}
			got <- string(b)
		}()
		<-asked
		p.Signal(t, s)
		select {
		case <-p.Ended():
			t.Errorf("%v: the program did not wait", s)
		default:
		}
		close(answer)
		if body := <-got; body != walkJSON {
			t.Errorf("%v: %s", s, body)
		}
		http.DefaultClient.CloseIdleConnections()
		if status := p.Status(t); status != 0 {
			t.Errorf("%v: status %d, %s", s, status, p.Stderr)
		}
	}
}
