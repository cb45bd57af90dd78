package housework

import (
	"fmt"
	"slices"
)

// A stagedList is a list to which changes are applied before it is written. What it
// was made of stays as it is.
type stagedList struct {
	chores   []Chore
	limit    int
	requests map[string]int // of what it was made of
	added    map[string]int // and those that came since
	owned    bool           // chores is a copy
}

// add does what [FileStore.Add] does.
func (l *stagedList) add(requestID string, chores []Chore) (first int, err error) {
	first, ok := l.added[requestID]
	if !ok {
		first, ok = l.requests[requestID]
	}
	if ok { // which "" never is
		if !isRequest(l.chores[first-1:], requestID, chores) {
			return 0, ErrRequestIDUsed
		}
		return first, nil
	}
	if len(chores) > l.limit-len(l.chores) {
		return 0, fmt.Errorf("%w: the limit is %d", ErrFull, l.limit)
	}
	l.own()
	first = len(l.chores) + 1
	l.chores = append(l.chores, chores...)
	for i := first - 1; i < len(l.chores); i++ {
		l.chores[i].RequestID = requestID
	}
	if requestID != "" {
		if l.added == nil {
			l.added = make(map[string]int)
		}
		l.added[requestID] = first
	}
	return first, nil
}

// complete does what [FileStore.Complete] does.
func (l *stagedList) complete(numbers []int) error {
	for _, n := range numbers {
		if n < 1 || n > len(l.chores) {
			return &ChoreError{Number: n, Err: ErrNotFound}
		}
	}
	for _, n := range numbers {
		if !l.chores[n-1].Complete {
			l.own()
			l.chores[n-1].Complete = true
		}
	}
	return nil
}

// own makes sure that chores is a copy. There is a change, then.
func (l *stagedList) own() {
	if !l.owned {
		l.chores = slices.Clone(l.chores)
		l.owned = true
	}
}

// indexRequests returns the number of the first chore of each request id. Where
// something else than a FileStore has written one twice, the first counts.
func indexRequests(chores []Chore) map[string]int {
	requests := make(map[string]int)
	for i, c := range chores {
		if c.RequestID == "" || i > 0 && chores[i-1].RequestID == c.RequestID {
			continue
		}
		if _, ok := requests[c.RequestID]; !ok {
			requests[c.RequestID] = i + 1
		}
	}
	return requests
}
