package proxy

import "sync"

// Stats returns what the server has done so far, up to this moment.
func (s *Server) Stats() ServerStats { return s.totals.stats() }

// ServerStats are figures of a [Server].
type ServerStats struct {
	Active int   // connections that are relayed
	Total  int64 // connections that were, those included
	Stats        // bytes of all of them
}

// totals are the figures of the connections that have ended, and the counters of
// the others.
type totals struct {
	mu     sync.Mutex
	active map[*Counters]struct{}
	total  int64
	ended  Stats
}

func (t *totals) begin(c *Counters) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.active == nil {
		t.active = make(map[*Counters]struct{})
	}
	t.active[c] = struct{}{}
	t.total++
}

func (t *totals) end(c *Counters) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.active, c)
	t.ended.add(c)
}

func (t *totals) stats() ServerStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	stats := ServerStats{Active: len(t.active), Total: t.total, Stats: t.ended}
	for c := range t.active {
		stats.Stats.add(c)
	}
	return stats
}

// add adds what c has counted.
func (s *Stats) add(c *Counters) {
	s.ToUpstream += c.ToUpstream.Load()
	s.ToClient += c.ToClient.Load()
}
