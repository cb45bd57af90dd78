//go:build linux

package bench

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// A bareCodec is what a program does that uses the encoder as it comes.
type bareCodec struct {
	load  func(r io.Reader) ([]housework.Chore, error)
	flush func(w io.Writer, chores []housework.Chore) error
}

var bareCodecs = map[housework.Format]bareCodec{
	housework.JSON: {
		func(r io.Reader) (chores []housework.Chore, err error) {
			err = json.NewDecoder(r).Decode(&chores)
			return chores, err
		},
		func(w io.Writer, chores []housework.Chore) error { return json.NewEncoder(w).Encode(chores) },
	},
	housework.Gob: {
		func(r io.Reader) (chores []housework.Chore, err error) {
			err = gob.NewDecoder(r).Decode(&chores)
			return chores, err
		},
		func(w io.Writer, chores []housework.Chore) error { return gob.NewEncoder(w).Encode(chores) },
	},
	housework.Protobuf: {
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

// A codecSide is one of those who do the same work in turn.
type codecSide struct {
	name  string
	work  func() error
	costs []float64 // CPU time of each round
}

// codecSides has them work, ours first in the list, and prints a table.
func codecSides(b *testing.B, sides ...*codecSide) {
	b.Helper()
	rounds := 0
	for b.Loop() {
		for range of(5, 1) {
			for i := range sides {
				s := sides[(i+rounds)%len(sides)]
				runtime.GC() // of what others left
				before := processTime(b)
				if err := s.work(); err != nil {
					b.Fatalf("%s: %v", s.name, err)
				}
				s.costs = append(s.costs, (processTime(b) - before).Seconds())
			}
			rounds++
		}
	}
	t := newTable("", "CPU-ms", "mallocs", "MB", "CPU of ours is")
	for _, s := range sides {
		before := used()
		if err := s.work(); err != nil {
			b.Fatalf("%s: %v", s.name, err)
		}
		use := used().since(before)
		t.row(s.name, median(s.costs)*1e3, float64(use.Mallocs), float64(use.Bytes)/1e6, ratios(sides[0].costs, s.costs))
	}
	b.ReportMetric(median(sides[0].costs)*1e3, "CPU-ms")
	b.ReportMetric(ratios(sides[0].costs, sides[1].costs), "x-"+sides[1].name+"-cpu")
	t.print(b)
}

// BenchmarkHouseworkCodec reads and writes lists, in memory, with request ids and without.
// The target is 1.1 of the CPU time of the bare encoder.
func BenchmarkHouseworkCodec(b *testing.B) {
	counts := of([]int{10_000, 100_000}, []int{1000})
	for format := housework.JSON; format <= housework.Protobuf; format++ {
		bare := bareCodecs[format]
		for _, count := range counts {
			for _, withIDs := range []bool{false, true} {
				name := fmt.Sprintf("%v/%d", format, count)
				if withIDs {
					name += "-ids"
				}
				chores := choreList(count, withIDs)
				data := codecData(b, format, bare, chores)
				b.Run(name+"/Load", func(b *testing.B) {
					load := func(load func(io.Reader) ([]housework.Chore, error)) func() error {
						return func() error {
							got, err := load(bytes.NewReader(data))
							if err == nil && len(got) != count {
								err = fmt.Errorf("%d chores, want %d", len(got), count)
							}
							return err
						}
					}
					codecSides(b, &codecSide{name: kindOurs, work: load(format.Load)}, &codecSide{name: kindNothing, work: load(bare.load)})
				})
				b.Run(name+"/Flush", func(b *testing.B) {
					flush := func(flush func(io.Writer, []housework.Chore) error) func() error {
						return func() error {
							w := countingWriter(0)
							err := flush(&w, chores)
							if err == nil && int(w) != len(data) {
								err = fmt.Errorf("%d bytes, want %d", w, len(data))
							}
							return err
						}
					}
					codecSides(b, &codecSide{name: kindOurs, work: flush(format.Flush)}, &codecSide{name: kindNothing, work: flush(bare.flush)})
				})
			}
		}
	}
}

// codecData returns the encoded list. It fails unless both sides make and read the same.
func codecData(b *testing.B, format housework.Format, bare bareCodec, chores []housework.Chore) []byte {
	b.Helper()
	var ours, theirs bytes.Buffer
	if err := format.Flush(&ours, chores); err != nil {
		b.Fatal(err)
	}
	if err := bare.flush(&theirs, chores); err != nil {
		b.Fatal(err)
	}
	if !bytes.Equal(ours.Bytes(), theirs.Bytes()) {
		b.Fatalf("%v: %d bytes and %d bytes, which differ", format, ours.Len(), theirs.Len())
	}
	for _, load := range []func(io.Reader) ([]housework.Chore, error){format.Load, bare.load} {
		if got, err := load(bytes.NewReader(ours.Bytes())); err != nil || !slices.Equal(got, chores) {
			b.Fatalf("%v: the list comes back as another one (error: %v)", format, err)
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
