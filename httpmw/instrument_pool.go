package httpmw

import (
	"errors"
	"net/http"
	"sync"
)

// The idea of this file: a request needs no Recorder of its own if that of an earlier one
// is free again, and it is free when nobody can hold a writer that leads to it.
//
// A handler must not use its writer after it has returned, but some do, in a goroutine
// that they have started. What such a one writes must not end up in the response to
// another client. So a Recorder is used again only after a handler has returned in the
// ordinary way. After a panic nobody knows what still runs; who has hijacked the connection
// may still look at the writer; and if the context has ended, the handler may have returned
// because of that, and left something behind that has not noticed yet.
//
// Over HTTP/2 a writer of net/http notices that it is used too late, and that must stay so:
// there no Recorder is used again. Over HTTP/1 net/http uses the buffer of a response for
// another itself, so that a Recorder adds no danger that was not there.
//
// Before it waits in the pool, a Recorder lets go of the writer below, whose connection it
// would keep alive; what is written late then fails with errLate.
var recorders = sync.Pool{New: func() any { return new(Recorder) }}

var errLate = errors.New("httpmw: the handler has returned, and its http.ResponseWriter with it")

// borrow returns the Recorder of the chain that w belongs to, and w. If there is none, it is
// one over w, of which it reports whether it may be given back.
func borrow(w http.ResponseWriter, r *http.Request) (rec *Recorder, over http.ResponseWriter, borrowed bool) {
	if rec := recorderOf(w); rec != nil {
		return rec, w, false
	}
	if r.ProtoMajor != 1 {
		rec, over = Record(w)
		return rec, over, false
	}
	rec = recorders.Get().(*Recorder)
	*rec = Recorder{}
	return rec, rec.over(w), true
}

// giveBack makes rec free for another request.
func giveBack(rec *Recorder) {
	*rec = Recorder{w: gone{}, shell: shell{core: (*recording)(rec), below: gone{}, rec: rec}}
	recorders.Put(rec)
}

// gone is the writer below a Recorder that is free.
type gone struct{}

// Header and the others do what is left to do: nothing.
func (gone) Header() http.Header { return make(http.Header) }

// WriteHeader has no result to put an error in.
func (gone) WriteHeader(int)           {}
func (gone) Write([]byte) (int, error) { return 0, errLate }

// FlushError is for http.ResponseController, and so for a view that has Flush.
func (gone) FlushError() error { return errLate }
