package heartbeat_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

// A service goes down, which is a result and not an end of the loop.
func ExampleProbe() {
	service, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	probe := heartbeat.Probe{
		Address:  service.Addr().String(),
		Count:    3,
		Interval: 10 * time.Millisecond,
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for r := range probe.All(ctx) {
		fmt.Println(r.Seq, r.Class)
		if r.Seq == 2 {
			if err := service.Close(); err != nil {
				log.Fatal(err)
			}
		}
	}
	// Output:
	// 1 answered
	// 2 answered
	// 3 refused
}

// The results here are written down, so that they are the same each time; a
// program adds those of a Probe.
func ExampleStats() {
	var stats heartbeat.Stats
	for _, r := range []heartbeat.Result{
		{Class: heartbeat.Answered, RTT: 11 * time.Millisecond},
		{Class: heartbeat.Refused},
		{Class: heartbeat.Answered, RTT: 13 * time.Millisecond},
		{Class: heartbeat.TimedOut},
	} {
		stats.Add(r)
	}
	fmt.Printf("%d sent, %d answered, %d refused, %.0f %% lost\n",
		stats.Sent, stats.Answered, stats.Refused, 100*stats.Loss())
	fmt.Println("min, avg, max:", stats.Min(), stats.Avg(), stats.Max())
	fmt.Println("mdev, jitter:", stats.Mdev(), stats.Jitter())
	// Output:
	// 4 sent, 2 answered, 1 refused, 50 % lost
	// min, avg, max: 11ms 12ms 13ms
	// mdev, jitter: 1ms 2ms
}
