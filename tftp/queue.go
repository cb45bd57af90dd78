package tftp

// A queue has the transfers that nobody has answered yet. One that is answered or has
// ended leaves it from any place, so that nothing of it is kept in memory. Package
// container/list would take one more allocation, and 50 bytes, for each transfer.
type queue struct {
	oldest, newest *transfer
}

func (q *queue) push(t *transfer) {
	t.older = q.newest
	if q.newest == nil {
		q.oldest = t
	} else {
		q.newest.newer = t
	}
	q.newest = t
}

// remove removes a transfer that is in the queue.
func (q *queue) remove(t *transfer) {
	if t.older == nil {
		q.oldest = t.newer
	} else {
		t.older.newer = t.newer
	}
	if t.newer == nil {
		q.newest = t.older
	} else {
		t.newer.older = t.older
	}
	t.older, t.newer = nil, nil
}
