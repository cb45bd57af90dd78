package httpmw

import (
	"net"
	"net/http"
	"sync/atomic"
)

// A ConnGauge counts the connections of an [http.Server], or of several, through the field
// ConnState. The zero value is ready, and its methods may be called at the same time.
type ConnGauge struct {
	open, hijacked atomic.Int64
}

// ConnState is for the field of that name of [http.Server], before it serves.
func (g *ConnGauge) ConnState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		g.open.Add(1)
	case http.StateClosed:
		g.open.Add(-1)
	case http.StateHijacked:
		// The server does not learn when such a connection ends: this is the last
		// that is heard of it.
		g.hijacked.Add(1)
		g.open.Add(-1)
	}
}

// Open returns how many connections the server has. Those that were hijacked are no
// longer the server's.
func (g *ConnGauge) Open() int64 { return g.open.Load() }

// Hijacked returns how many connections handlers have taken so far. Those of HTTP/1 that
// [Timeout] cuts are among them: that is how it takes them from net/http.
func (g *ConnGauge) Hijacked() int64 { return g.hijacked.Load() }
