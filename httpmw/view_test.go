package httpmw_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// A viewFake is a writer that can everything, and knows what was asked of it. Its writes
// return err.
type viewFake struct {
	calls  []string
	header http.Header
	err    error
}

func (f *viewFake) called(name string) error {
	f.calls = append(f.calls, name)
	return f.err
}

func (f *viewFake) Header() http.Header {
	if f.header == nil {
		f.header = make(http.Header)
	}
	return f.header
}
func (f *viewFake) WriteHeader(int)             { f.called("WriteHeader") }
func (f *viewFake) Write(p []byte) (int, error) { return len(p), f.called("Write") }
func (f *viewFake) Flush()                      { f.called("Flush") }
func (f *viewFake) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	f.called("Hijack")
	return nil, nil, nil
}
func (f *viewFake) Push(string, *http.PushOptions) error { return f.called("Push") }
func (f *viewFake) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(io.Discard, r)
	return n, errors.Join(err, f.called("ReadFrom"))
}
func (f *viewFake) SetReadDeadline(time.Time) error  { return f.called("SetReadDeadline") }
func (f *viewFake) SetWriteDeadline(time.Time) error { return f.called("SetWriteDeadline") }
func (f *viewFake) EnableFullDuplex() error          { return f.called("EnableFullDuplex") }

// What a viewFake can besides being an http.ResponseWriter.
type (
	viewF interface{ http.Flusher }
	viewH interface{ http.Hijacker }
	viewP interface{ http.Pusher }
	viewR interface{ io.ReaderFrom }
	viewW interface{ http.ResponseWriter }
)

// viewAll is a writer with all abilities.
type viewAll struct {
	viewW
	viewF
	viewH
	viewP
	viewR
}

// viewCombinations returns a writer for each combination of abilities, by their letters.
func viewCombinations(f *viewFake) map[string]http.ResponseWriter {
	return map[string]http.ResponseWriter{
		"": struct{ viewW }{f},
		"F": struct {
			viewW
			viewF
		}{f, f},
		"H": struct {
			viewW
			viewH
		}{f, f},
		"FH": struct {
			viewW
			viewF
			viewH
		}{f, f, f},
		"P": struct {
			viewW
			viewP
		}{f, f},
		"FP": struct {
			viewW
			viewF
			viewP
		}{f, f, f},
		"HP": struct {
			viewW
			viewH
			viewP
		}{f, f, f},
		"FHP": struct {
			viewW
			viewF
			viewH
			viewP
		}{f, f, f, f},
		"R": struct {
			viewW
			viewR
		}{f, f},
		"FR": struct {
			viewW
			viewF
			viewR
		}{f, f, f},
		"HR": struct {
			viewW
			viewH
			viewR
		}{f, f, f},
		"FHR": struct {
			viewW
			viewF
			viewH
			viewR
		}{f, f, f, f},
		"PR": struct {
			viewW
			viewP
			viewR
		}{f, f, f},
		"FPR": struct {
			viewW
			viewF
			viewP
			viewR
		}{f, f, f, f},
		"HPR": struct {
			viewW
			viewH
			viewP
			viewR
		}{f, f, f, f},
		"FHPR": viewAll{f, f, f, f, f},
	}
}

// viewAbilities returns the letters of what a writer can, and asks it for each.
func viewAbilities(t *testing.T, w http.ResponseWriter) (letters string) {
	t.Helper()
	if f, ok := w.(http.Flusher); ok {
		letters += "F"
		f.Flush()
	}
	if h, ok := w.(http.Hijacker); ok {
		letters += "H"
		h.Hijack()
	}
	if p, ok := w.(http.Pusher); ok {
		letters += "P"
		p.Push("/", nil)
	}
	if r, ok := w.(io.ReaderFrom); ok {
		letters += "R"
		r.ReadFrom(strings.NewReader("abc"))
	}
	return letters
}

// The writer of a Recorder can exactly what the one below can, and asks that one.
func TestRecordAbilities(t *testing.T) {
	names := strings.NewReplacer("F", "Flush ", "H", "Hijack ", "P", "Push ", "R", "ReadFrom ")
	fake := new(viewFake)
	combinations := viewCombinations(fake)
	if len(combinations) != 16 {
		t.Fatalf("there are %d combinations", len(combinations))
	}
	for want, w := range combinations {
		t.Run(want, func(t *testing.T) {
			rec, view := httpmw.Record(w)
			fake.calls = nil
			if got := viewAbilities(t, view); got != want {
				t.Errorf("the writer can %q, want %q", got, want)
			}
			if got := strings.Join(fake.calls, " "); got != strings.TrimSpace(names.Replace(want)) {
				t.Errorf("the writer below was asked %q, want what %q means", got, want)
			}
			if rec.Hijacked() != strings.Contains(want, "H") {
				t.Errorf("Hijacked = %t", rec.Hijacked())
			}
			if again, same := httpmw.Record(view); again != rec || same != view {
				t.Error("Record of the writer returned others")
			}
		})
	}
}

// A viewForeign is a writer of another package, as they are: it wraps and unwraps.
type viewForeign struct{ http.ResponseWriter }

func (w viewForeign) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// viewLayers puts n times a foreign wrapper and a Recorder over w. A chain through
// wrappers that cannot do more than unwrap has a Recorder for each.
func viewLayers(w http.ResponseWriter, n int) ([]*httpmw.Recorder, http.ResponseWriter) {
	first, w := httpmw.Record(w)
	recs := []*httpmw.Recorder{first}
	for range n {
		var rec *httpmw.Recorder
		rec, w = httpmw.Record(viewForeign{w})
		recs = append(recs, rec)
	}
	return recs, w
}

// An http.ResponseController works through any number of layers, and each Recorder
// knows of what it does.
func TestResponseControllerThroughLayers(t *testing.T) {
	for _, n := range []int{0, 1, 2, 4} {
		for name, call := range map[string]func(*http.ResponseController) error{
			"Flush":            (*http.ResponseController).Flush,
			"EnableFullDuplex": (*http.ResponseController).EnableFullDuplex,
			"SetReadDeadline":  func(c *http.ResponseController) error { return c.SetReadDeadline(time.Time{}) },
			"SetWriteDeadline": func(c *http.ResponseController) error { return c.SetWriteDeadline(time.Time{}) },
			"Hijack": func(c *http.ResponseController) error {
				_, _, err := c.Hijack()
				return err
			},
		} {
			fake := new(viewFake)
			recs, w := viewLayers(fake, n)
			if err := call(http.NewResponseController(w)); err != nil || strings.Join(fake.calls, " ") != name {
				t.Errorf("%s through %d layers: %v, asked for %q", name, n, err, fake.calls)
			}
			for i, rec := range recs {
				if rec.Hijacked() != (name == "Hijack") || (rec.Status() == 200) != (name == "Flush") {
					t.Errorf("%s through %d layers: Recorder %d has status %d, hijacked %t", name, n, i, rec.Status(), rec.Hijacked())
				}
			}
			_, w = viewLayers(struct{ http.ResponseWriter }{fake}, n) // and where nobody can
			if err := call(http.NewResponseController(w)); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("%s of what cannot, through %d layers: %v", name, n, err)
			}
		}
	}
}
