package tlsutil

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Files are the files of a certificate, its key and the roots, in PEM.
type Files struct {
	// Cert holds the certificate and those that lead to its root, Key the private
	// key. Both may be the same file, and both are empty for a client that shows none.
	Cert, Key string

	// Roots holds the certificates that those of the other end must come from. If
	// empty, there are no roots (see [Material.Roots]).
	Roots string

	// Interval is how often the files are read. If zero, it is 5 seconds. If negative,
	// they are read by [WatchedFiles.Reload] alone.
	Interval time.Duration

	// OnReload is called with a nil error when a changed set of files has come into
	// use, or when the earlier set is back after one that could not be used. It is
	// called once for each set that cannot be used, with the reason; the earlier set
	// then stays in use. It is called from one goroutine, which Reload and Close
	// wait for, so that it must not call them, nor block for long. If nil, it is not
	// called.
	OnReload func(error)

	// Logger gets a record for what OnReload is told. If nil, nothing is logged.
	Logger *slog.Logger
}

// interval returns how long to wait from one reading to the next, or a negative time
// for no end.
func (f *Files) interval() time.Duration {
	if f.Interval == 0 {
		return 5 * time.Second
	}
	return f.Interval
}

// settling returns how long the files must have stayed the same. A file that is
// written in place is torn for the time between two writes, which is much shorter.
func (f *Files) settling() time.Duration {
	const most = 200 * time.Millisecond
	if i := f.interval(); i > 0 {
		return min(i, most)
	}
	return most
}

// tries is how many times the files are read again when they differ from what they
// were a moment ago.
const tries = 5

// errChanging is why files that are never the same twice cannot be used.
var errChanging = errors.New("tlsutil: the files change while they are read")

// WatchedFiles is a [Source] that reads its files again and again, and takes what they
// hold into use when it has changed, is whole and fits together. It is made by
// [WatchFiles], and must be closed. Its methods may be called by several goroutines.
type WatchedFiles struct {
	files    Files
	current  atomic.Pointer[Material]
	requests chan chan<- error // of Reload
	close    sync.Once
	closing  chan struct{}
	ended    chan struct{} // closed by the goroutine

	// problem is what was reported last, unless all is well. It belongs to the
	// goroutine.
	problem string
}

// WatchFiles reads the files, and begins to watch them. That they cannot be used
// at this moment is an error; a certificate that has expired, or is not yet valid,
// cannot.
//
// Certificate, key and roots are taken into use together. They are compared by content, so
// it does not matter how they are replaced: written in place, renamed over, or by
// a symbolic link that is swapped. A set counts once two readings in a row agree, and
// a certificate that is not yet valid comes into use when its time has come. What is
// in use stays so until there is something better, also when it expires. A file has at
// most 1 MiB.
//
// Errors and records hold names of files and the dates of a certificate, never
// what else is in them.
func WatchFiles(f Files) (*WatchedFiles, error) {
	switch {
	case f.Cert == "" && f.Key == "" && f.Roots == "":
		return nil, errors.New("tlsutil: no files to watch")
	case (f.Cert == "") != (f.Key == ""):
		return nil, errors.New("tlsutil: a certificate and its key need each other")
	}
	w := &WatchedFiles{
		files:    f,
		requests: make(chan chan<- error),
		closing:  make(chan struct{}),
		ended:    make(chan struct{}),
	}
	set, err := w.steady(readSet(&f), 0)
	if err != nil {
		return nil, err
	}
	m, err := set.material(&f)
	if err != nil {
		return nil, err
	}
	w.current.Store(m)
	go w.watch()
	return w, nil
}

// Current implements [Source]. It makes no system call.
func (w *WatchedFiles) Current() *Material { return w.current.Load() }

// Reload reads the files at once, as upon SIGHUP, and reports why they cannot be used.
// It waits for about a second while they are being changed. After Close the error
// wraps [fs.ErrClosed].
func (w *WatchedFiles) Reload() error {
	answer := make(chan error, 1)
	select {
	case <-w.closing:
		return errClosed()
	case w.requests <- answer:
		return <-answer
	}
}

func errClosed() error { return fmt.Errorf("tlsutil: watched files: %w", fs.ErrClosed) }

// Close stops watching. What is current stays so. When it returns, OnReload is not
// called any more. It always returns nil, and may be called again.
func (w *WatchedFiles) Close() error {
	w.close.Do(func() { close(w.closing) })
	<-w.ended
	return nil
}

// watch is the goroutine: all reading after the first is done here, one at a time.
func (w *WatchedFiles) watch() {
	defer close(w.ended)
	var timer <-chan time.Time // nil, for never
	for {
		if d := w.files.interval(); d > 0 {
			timer = time.After(d)
		}
		select {
		case <-w.closing:
			return
		case answer := <-w.requests:
			answer <- w.reload(0)
		case <-timer:
			// What is wrong has been reported.
			_ = w.reload(w.files.settling())
		}
	}
}

// reload reads the files and takes them into use if they have changed. They must have
// stayed the same for the given time.
func (w *WatchedFiles) reload(settling time.Duration) error {
	set, err := readSet(&w.files), error(nil)
	if set.epoch != w.Current().Epoch {
		set, err = w.steady(set, settling)
	}
	switch {
	case errors.Is(err, fs.ErrClosed):
		return err
	case err == nil && set.epoch == w.Current().Epoch:
		// Its certificate may have expired meanwhile, but there is nothing better.
		w.state("", nil)
		return nil
	}
	var m *Material
	if err == nil {
		m, err = set.material(&w.files)
	}
	if err != nil {
		w.state(set.epoch+err.Error(), err)
		return err
	}
	w.current.Store(m)
	w.problem = ""
	w.report(nil)
	return nil
}

// state reports an error, or that there is none any more, unless that is known.
func (w *WatchedFiles) state(problem string, err error) {
	if problem != w.problem {
		w.problem = problem
		w.report(err)
	}
}

// steady waits for the given time and reads the files again, until they are as
// before. A reading that has begun with the files of one set and ended with those of
// another is not repeated.
func (w *WatchedFiles) steady(set set, settling time.Duration) (set, error) {
	for range tries {
		if settling > 0 {
			select {
			case <-w.closing:
				return set, errClosed()
			case <-time.After(settling):
			}
		}
		again := readSet(&w.files)
		if again.same(set) {
			return set, nil
		}
		set, settling = again, w.files.settling()
	}
	// Each reading is another set; as a problem they are one.
	set.epoch = ""
	return set, errChanging
}

// report tells the user of a new set, or why there is none.
func (w *WatchedFiles) report(err error) {
	if log := w.files.Logger; log != nil {
		if err != nil {
			log.LogAttrs(context.Background(), slog.LevelError, "files cannot be used", slog.Any("error", err))
		} else {
			log.LogAttrs(context.Background(), slog.LevelInfo, "files are in use", w.files.attrs()...)
		}
	}
	if w.files.OnReload != nil {
		w.files.OnReload(err)
	}
}

// attrs returns the names of the files, for a record.
func (f *Files) attrs() []slog.Attr {
	var attrs []slog.Attr
	for _, file := range []struct{ key, name string }{{"cert", f.Cert}, {"key", f.Key}, {"roots", f.Roots}} {
		if file.name != "" {
			attrs = append(attrs, slog.String(file.key, file.name))
		}
	}
	return attrs
}
