package heartbeat_test

import (
	"io"
	"sync"
	"testing"

	"github.com/netparts/netparts/heartbeat"
)

// A Touch that was interrupted does not undo a later one, which may have been the
// answer to a ping.
func TestTouchDoesNotGoBack(t *testing.T) {
	p := &heartbeat.Pinger{Writer: io.Discard}
	var touching sync.WaitGroup
	for range 8 {
		touching.Go(func() {
			for range 200_000 {
				p.Touch()
			}
		})
	}
	touched := make(chan struct{})
	go func() {
		touching.Wait()
		close(touched)
	}()
	for last := int64(0); ; {
		at := p.Touched()
		if at < last {
			t.Errorf("%d ns were lost", last-at)
		}
		last = at
		select {
		case <-touched:
			return
		default:
		}
	}
}
