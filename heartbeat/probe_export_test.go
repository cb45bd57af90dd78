package heartbeat

import (
	"context"
	"net"
	"time"
)

// Connect is one attempt's call of Dial and the time that it took by the clock,
// which tests on Linux do not see otherwise.
func (p *Probe) Connect(ctx context.Context) (net.Conn, time.Duration, error) { return p.dial(ctx) }
