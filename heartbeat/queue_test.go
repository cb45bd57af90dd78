package heartbeat_test

import (
	"math/rand/v2"
	"testing"

	"github.com/netparts/netparts/heartbeat"
)

// The first of a queue is due first, whatever was added, moved and removed.
func TestQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var q heartbeat.Queue
		for range 300 {
			switch n := q.Len(); {
			case n == 0 || random.IntN(3) == 0:
				q.Push(random.Int64N(100))
			case random.IntN(2) == 0:
				q.Move(random.IntN(n), random.Int64N(100))
			default:
				q.Remove(random.IntN(n))
			}
			if err := q.Check(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
