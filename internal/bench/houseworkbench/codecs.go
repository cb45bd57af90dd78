//go:build linux

package houseworkbench

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
	"github.com/netparts/netparts/internal/bench/lab"
)

// A bareCodec is what a program does that uses the encoder as it comes.
type bareCodec struct {
	name  string // of the side
	load  func(r io.Reader) ([]housework.Chore, error)
	flush func(w io.Writer, chores []housework.Chore) error
}

var bareCodecs = map[housework.Format]bareCodec{
	housework.JSON: {
		bareJSON,
		func(r io.Reader) (chores []housework.Chore, err error) {
			err = json.NewDecoder(r).Decode(&chores)
			return chores, err
		},
		func(w io.Writer, chores []housework.Chore) error { return json.NewEncoder(w).Encode(chores) },
	},
	housework.Gob: {
		bareGob,
		func(r io.Reader) (chores []housework.Chore, err error) {
			err = gob.NewDecoder(r).Decode(&chores)
			return chores, err
		},
		func(w io.Writer, chores []housework.Chore) error { return gob.NewEncoder(w).Encode(chores) },
	},
	housework.Protobuf: {
		bareProtobuf,
		func(r io.Reader) ([]housework.Chore, error) {
			data, err := io.ReadAll(r)
			if err != nil {
				return nil, err
			}
			var message houseworkv1.Chores
			if err := proto.Unmarshal(data, &message); err != nil {
				return nil, err
			}
			return choresOf(message.GetChores()), nil
		},
		func(w io.Writer, chores []housework.Chore) error {
			message := &houseworkv1.Chores{}
			message.SetChores(choreMessages(chores))
			data, err := proto.Marshal(message)
			if err == nil {
				_, err = w.Write(data)
			}
			return err
		},
	},
}

// formatNames are the formats as people write them.
var formatNames = map[housework.Format]string{housework.JSON: "JSON", housework.Gob: "Gob", housework.Protobuf: "Protobuf"}

// codecName is that of a case.
func codecName(what string, format housework.Format, count int, withIDs bool) string {
	name := fmt.Sprintf("%s of %s, %d,000 chores", what, formatNames[format], count/1000)
	if withIDs {
		name += " with request ids"
	}
	return name
}

// loadCase reads lists.
func loadCase(format housework.Format, count int, withIDs bool) lab.Case {
	bare := bareCodecs[format]
	c := codecCase(codecName("Load", format, count, withIDs), bare.name)
	c.About = "Reads lists from memory. How many chores come back is checked each time, and once each of them. A figure is of one list."
	chores := 80_000
	switch format {
	case housework.JSON:
		chores = 10_000 // which the bare decoder is slower with than all else
	case housework.Gob:
		c.Targets[0].Reason = gobReason
	}
	c.Run = func(t *lab.T) {
		n := lab.Of(t, count, 1000)
		data := codecData(t, format, choreList(n, withIDs))
		runCodec(t, perSlice(t, chores, count), map[string]func() error{
			lab.Ours:  loading(format.Load, data, n),
			bare.name: loading(bare.load, data, n),
		})
	}
	return c
}

// loading returns the work of reading data, which has so many chores.
func loading(load func(io.Reader) ([]housework.Chore, error), data []byte, count int) func() error {
	return func() error {
		got, err := load(bytes.NewReader(data))
		if err == nil && len(got) != count {
			err = fmt.Errorf("%d chores, want %d", len(got), count)
		}
		return err
	}
}

// flushCase writes lists.
func flushCase(format housework.Format, count int, withIDs bool) lab.Case {
	bare := bareCodecs[format]
	c := codecCase(codecName("Flush", format, count, withIDs), bare.name)
	c.About = "Writes lists to nowhere. How many bytes that are is checked each time, and once each of them. A figure is of one list."
	c.Run = func(t *lab.T) {
		chores := choreList(lab.Of(t, count, 1000), withIDs)
		size := len(codecData(t, format, chores))
		runCodec(t, perSlice(t, 80_000, count), map[string]func() error{
			lab.Ours:  flushing(format.Flush, chores, size),
			bare.name: flushing(bare.flush, chores, size),
		})
	}
	return c
}

// flushing returns the work of writing chores, which are so many bytes.
func flushing(flush func(io.Writer, []housework.Chore) error, chores []housework.Chore, size int) func() error {
	return func() error {
		w := countingWriter(0)
		err := flush(&w, chores)
		if err == nil && int(w) != size {
			err = fmt.Errorf("%d bytes, want %d", w, size)
		}
		return err
	}
}

func codecCase(name, bare string) lab.Case {
	return lab.Case{
		Name:    name,
		Sides:   lab.Sides(lab.Ours, bare),
		Metrics: lab.CallMetrics("ms"),
		Targets: []lab.Target{{Metric: "ms CPU", Than: bare, AtMost: 1.1}},
	}
}

// runCodec does works that are one list each, so many of them in a slice of some
// milliseconds.
func runCodec(t *lab.T, slice int, work map[string]func() error) {
	c := lab.Calls{T: t, Unit: "ms", Slice: slice, Count: 6 * slice, Clean: true, Work: make(map[string]func(int) error)}
	if slice == 1 {
		c.Count = lab.Of(t, 4, 2)
	}
	for side, once := range work {
		c.Work[side] = func(n int) error {
			for range n {
				if err := once(); err != nil {
					return err
				}
			}
			return nil
		}
	}
	c.Run()
}

// perSlice is how many lists have so many chores, which take some milliseconds.
func perSlice(t *lab.T, chores, length int) int { return max(lab.Of(t, chores/length, 1), 1) }

// codecData returns the encoded list. It fails unless both sides make and read the same.
func codecData(t *lab.T, format housework.Format, chores []housework.Chore) []byte {
	bare := bareCodecs[format]
	var ours, theirs bytes.Buffer
	t.Fatal(format.Flush(&ours, chores), bare.flush(&theirs, chores))
	if !bytes.Equal(ours.Bytes(), theirs.Bytes()) {
		t.Fatalf("%v: %d bytes and %d bytes, which differ", format, ours.Len(), theirs.Len())
	}
	for _, load := range []func(io.Reader) ([]housework.Chore, error){format.Load, bare.load} {
		if got, err := load(bytes.NewReader(ours.Bytes())); err != nil || !slices.Equal(got, chores) {
			t.Fatalf("%v: the list comes back as another one (error: %w)", format, err)
		}
	}
	return ours.Bytes()
}

// A countingWriter counts what is written.
type countingWriter int

func (w *countingWriter) Write(p []byte) (int, error) {
	*w += countingWriter(len(p))
	return len(p), nil
}

// codecGrowth is about the length of a list.
func codecGrowth() lab.Growth {
	formats := map[string]housework.Format{
		lab.Ours: housework.JSON, "ours, Gob": housework.Gob, "ours, Protobuf": housework.Protobuf,
		bareJSON: housework.JSON, bareGob: housework.Gob, bareProtobuf: housework.Protobuf,
	}
	return lab.Growth{
		Name:   "a list written and read, by its length",
		About:  "Writes a list into memory and reads it from there, ours as JSON where nothing else is said. A figure is of one chore.",
		Axis:   "chores in the list",
		Points: append(slices.Clone(lab.Powers), 100_000),
		Case: func(n int) lab.Case {
			return lab.Case{
				Name:    fmt.Sprintf("Flush and Load of %d chores", n),
				Sides:   lab.Sides(lab.Ours, "ours, Gob", "ours, Protobuf", bareJSON, bareGob, bareProtobuf),
				Metrics: lab.CallMetrics("ns"),
				Run: func(t *lab.T) {
					lists := max(lab.Of(t, 2000, 10)/n, 1) // in a slice
					c := lab.Calls{
						T: t, Unit: "ns", Slice: n * lists, Count: n * lists * lab.Of(t, max(50_000/(n*lists), 1), 1), Clean: true,
						Work: make(map[string]func(int) error),
					}
					chores := choreList(n, false)
					for _, side := range t.Present() {
						format := formats[side]
						codecData(t, format, chores)
						flush, load := format.Flush, format.Load
						if bare := bareCodecs[format]; bare.name == side {
							flush, load = bare.flush, bare.load
						}
						c.Work[side] = func(count int) error { return thereAndBack(flush, load, chores, count/n) }
					}
					c.Run()
				},
			}
		},
	}
}

// thereAndBack writes and reads a list so many times.
func thereAndBack(flush func(io.Writer, []housework.Chore) error, load func(io.Reader) ([]housework.Chore, error),
	chores []housework.Chore, times int,
) error {
	var b bytes.Buffer
	for range times {
		b.Reset()
		if err := flush(&b, chores); err != nil {
			return err
		}
		got, err := load(&b)
		if err != nil || len(got) != len(chores) {
			return fmt.Errorf("%d chores, want %d (error: %w)", len(got), len(chores), err)
		}
	}
	return nil
}
