package housework_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/netparts/netparts/housework"
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

// BenchmarkCodec loads and flushes 10,000 chores. How that compares with the bare encoders
// is measured in internal/bench.
func BenchmarkCodec(b *testing.B) {
	lists := codecBenchLists()
	for _, f := range codecFormats {
		for _, name := range []string{"plain", "ids"} {
			chores := lists[name]
			data := codecFlush(b, f, chores)
			b.Run(fmt.Sprintf("%v/%s/flush", f, name), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					if err := f.Flush(io.Discard, chores); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("%v/%s/load", f, name), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					if got, err := f.Load(bytes.NewReader(data)); err != nil || len(got) != len(chores) {
						b.Fatalf("%d chores of %d (error: %v)", len(got), len(chores), err)
					}
				}
			})
		}
	}
}
