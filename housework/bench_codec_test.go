package housework_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// codecBenchLists are lists of 10,000 chores: as the book's, and with request ids.
func codecBenchLists() map[string][]housework.Chore {
	plain := make([]housework.Chore, 10_000)
	ids := make([]housework.Chore, len(plain))
	for i := range plain {
		plain[i] = housework.Chore{Complete: i%3 == 0, Description: fmt.Sprintf("Clean window number %d of the house", i)}
		ids[i] = plain[i]
		ids[i].RequestID = fmt.Sprintf("request-%026d", i/4)
	}
	return map[string][]housework.Chore{"plain": plain, "ids": ids}
}

// codecBare are the encoders and decoders that one would use without this package.
var codecBare = map[housework.Format]struct {
	flush func(w io.Writer, chores []housework.Chore) error
	load  func(r io.Reader) ([]housework.Chore, error)
}{
	housework.JSON: {
		func(w io.Writer, chores []housework.Chore) error {
			data, err := json.Marshal(chores)
			if err != nil {
				return err
			}
			_, err = w.Write(data)
			return err
		},
		func(r io.Reader) (chores []housework.Chore, err error) {
			err = json.NewDecoder(r).Decode(&chores)
			return chores, err
		},
	},
	housework.Gob: {
		func(w io.Writer, chores []housework.Chore) error { return gob.NewEncoder(w).Encode(chores) },
		func(r io.Reader) (chores []housework.Chore, err error) {
			err = gob.NewDecoder(r).Decode(&chores)
			return chores, err
		},
	},
	housework.Protobuf: {
		func(w io.Writer, chores []housework.Chore) error {
			data, err := proto.Marshal(protobufMessages(chores))
			if err != nil {
				return err
			}
			_, err = w.Write(data)
			return err
		},
		func(r io.Reader) ([]housework.Chore, error) {
			data, err := io.ReadAll(r)
			if err != nil {
				return nil, err
			}
			var m houseworkv1.Chores
			if err := proto.Unmarshal(data, &m); err != nil {
				return nil, err
			}
			chores := make([]housework.Chore, len(m.GetChores()))
			for i, c := range m.GetChores() {
				chores[i] = housework.Chore{Complete: c.GetComplete(), Description: c.GetDescription(), RequestID: c.GetRequestId()}
			}
			return chores, nil
		},
	},
}

// codecBenches calls bench for each format, list and direction, with our codec and with
// the bare encoder.
func codecBenches(b *testing.B, bench func(b *testing.B, size int, ours, bare func() error)) {
	lists := codecBenchLists()
	for _, f := range codecFormats {
		for _, name := range []string{"plain", "ids"} {
			chores := lists[name]
			data := codecFlush(b, f, chores)
			flush := func(do func(io.Writer, []housework.Chore) error) func() error {
				return func() error { return do(io.Discard, chores) }
			}
			load := func(do func(io.Reader) ([]housework.Chore, error)) func() error {
				return func() error {
					got, err := do(bytes.NewReader(data))
					if err == nil && len(got) != len(chores) {
						err = fmt.Errorf("%d chores of %d", len(got), len(chores))
					}
					return err
				}
			}
			b.Run(fmt.Sprintf("%v/%s/flush", f, name), func(b *testing.B) {
				bench(b, len(data), flush(f.Flush), flush(codecBare[f].flush))
			})
			b.Run(fmt.Sprintf("%v/%s/load", f, name), func(b *testing.B) {
				bench(b, len(data), load(f.Load), load(codecBare[f].load))
			})
		}
	}
}

// BenchmarkCodec loads and flushes 10,000 chores.
func BenchmarkCodec(b *testing.B) {
	codecBenches(b, func(b *testing.B, size int, ours, bare func() error) {
		for name, do := range map[string]func() error{"ours": ours, "bare": bare} {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					if err := do(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}

// BenchmarkCodecRatio takes turns, and reports the ratio of the medians: a machine that
// does other things meanwhile slows both.
func BenchmarkCodecRatio(b *testing.B) {
	codecBenches(b, func(b *testing.B, _ int, ours, bare func() error) {
		var times [2][]time.Duration
		for b.Loop() {
			for i, do := range []func() error{ours, bare} {
				start := time.Now()
				if err := do(); err != nil {
					b.Fatal(err)
				}
				times[i] = append(times[i], time.Since(start))
			}
		}
		slices.Sort(times[0])
		slices.Sort(times[1])
		middle := len(times[0]) / 2
		b.ReportMetric(float64(times[0][middle])/float64(times[1][middle]), "ratio")
		b.ReportMetric(float64(times[0][0])/float64(times[1][0]), "ratio-of-best")
	})
}
