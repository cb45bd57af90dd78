//go:build unix

package main

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/examples/cloud/internal/rig"
	"github.com/netparts/netparts/examples/cloud/xkcd"
)

func TestSignalsBetweenInvocations(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		api, f := newRuntime(t), rig.NewFeed(t, rig.Walk)
		p := rig.Start(t, "aws", apiVariable+"="+api.addr, xkcd.FeedVariable+"="+f.URL)
		decode[xkcd.Response](t, api.invoke(t, "{}", time.Minute), "response")
		p.Signal(t, s)
		if status := p.Status(t); status != 0 || p.Stderr.String() != "" {
			t.Errorf("%v: status %d, %s", s, status, p.Stderr)
		}
	}
}
