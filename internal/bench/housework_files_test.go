//go:build linux

package bench

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/netparts/netparts/housework"
)

// A choreFile is a list on disk.
type choreFile interface {
	add(housework.Chore) error
	list() ([]housework.Chore, error)
	close() error
}

// choreFiles are the ways to keep one. All but the book's are on disk when add returns.
var choreFiles = map[string]func(path string, writers int) (choreFile, error){
	kindOurs: openOurFile,
	// Ours, with a commit for each.
	"ours-each": func(path string, writers int) (choreFile, error) {
		f, err := openOurFile(path, writers)
		return &turnsFile{choreFile: f}, err
	},
	// os.Create and the encoder, as the book has it, without a sync.
	"book": func(path string, _ int) (choreFile, error) {
		return &turnsFile{choreFile: &bookFile{path: path}}, nil
	},
	// A transaction for each.
	"bbolt-update": func(path string, _ int) (choreFile, error) {
		return openBolt(path, func(db *bbolt.DB) func(func(*bbolt.Tx) error) error { return db.Update })
	},
	// Its way to share transactions, which wait for more for 10 ms.
	"bbolt-batch": func(path string, _ int) (choreFile, error) {
		return openBolt(path, func(db *bbolt.DB) func(func(*bbolt.Tx) error) error { return db.Batch })
	},
	// The same, and it knows how many writers there are, so that it need not wait.
	"bbolt-batch-full": func(path string, writers int) (choreFile, error) {
		return openBolt(path, func(db *bbolt.DB) func(func(*bbolt.Tx) error) error {
			db.MaxBatchSize = writers
			return db.Batch
		})
	},
}

// A turnsFile is changed by one at a time.
type turnsFile struct {
	choreFile
	mu sync.Mutex
}

func (f *turnsFile) add(c housework.Chore) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.choreFile.add(c)
}

type ourFile struct{ store *housework.FileStore }

func openOurFile(path string, _ int) (choreFile, error) {
	store, err := housework.OpenFile(path, nil)
	return ourFile{store}, err
}

func (f ourFile) add(c housework.Chore) error {
	_, err := f.store.Add(context.Background(), "", []housework.Chore{c})
	return err
}

func (f ourFile) list() (list []housework.Chore, err error) {
	for c, err := range housework.All(context.Background(), f.store) {
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func (f ourFile) close() error { return f.store.Close() }

type bookFile struct{ path string }

func (f *bookFile) add(c housework.Chore) error {
	chores, err := f.list()
	if err != nil {
		return err
	}
	file, err := os.Create(f.path)
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(file).Encode(append(chores, c)), file.Close())
}

func (f *bookFile) list() (list []housework.Chore, err error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	err = json.NewDecoder(file).Decode(&list)
	return list, err
}

func (*bookFile) close() error { return nil }

// A boltFile is a list in a bucket: the number of a chore is the key.
type boltFile struct {
	db     *bbolt.DB
	change func(func(*bbolt.Tx) error) error
}

var boltBucket = []byte("chores")

// openBolt makes a database of the list of JSON at path.
func openBolt(path string, change func(*bbolt.DB) func(func(*bbolt.Tx) error) error) (choreFile, error) {
	before, err := (&bookFile{path}).list()
	if err != nil {
		return nil, err
	}
	db, err := bbolt.Open(path+".bolt", 0o600, nil)
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucket(boltBucket); err != nil {
			return err
		}
		for _, c := range before {
			if err := putBolt(tx, c); err != nil {
				return err
			}
		}
		return nil
	})
	return &boltFile{db, change(db)}, err
}

func putBolt(tx *bbolt.Tx, c housework.Chore) error {
	b := tx.Bucket(boltBucket)
	number, err := b.NextSequence()
	if err != nil {
		return err
	}
	value, err := json.Marshal(c)
	if err != nil {
		return err
	}
	b.FillPercent = 1 // as keys come in their order
	return b.Put(binary.BigEndian.AppendUint64(nil, number), value)
}

func (f *boltFile) add(c housework.Chore) error {
	return f.change(func(tx *bbolt.Tx) error { return putBolt(tx, c) })
}

func (f *boltFile) list() (list []housework.Chore, err error) {
	err = f.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(boltBucket).ForEach(func(_, value []byte) error {
			var c housework.Chore
			err := json.Unmarshal(value, &c)
			list = append(list, c)
			return err
		})
	})
	return list, err
}

func (f *boltFile) close() error { return f.db.Close() }

// A fileSide is what is known of one kind after some rounds.
type fileSide struct {
	kind         string
	rates, costs []float64 // adds a second, and CPU time of each
}

// BenchmarkHouseworkFile adds chores to lists on disk, each of a certain length to begin
// with: some writers at once, each of which waits for its chore before it adds the next.
// The target is that 16 writers add 8 times as many with ours as with ours-each.
func BenchmarkHouseworkFile(b *testing.B) {
	lengths := of([]int{100, 1000, 10_000}, []int{100})
	for _, writers := range []int{1, 2, 16} {
		for _, length := range lengths {
			b.Run(fmt.Sprintf("writers=%d/length=%d", writers, length), func(b *testing.B) {
				kinds := []string{kindOurs, "ours-each", "bbolt-batch-full", "bbolt-batch", "bbolt-update", "book"}
				if writers == 1 {
					kinds = []string{kindOurs, "bbolt-update", "book"}
				}
				sides := make([]*fileSide, len(kinds))
				for i, kind := range kinds {
					sides[i] = &fileSide{kind: kind}
				}
				rounds := 0
				for b.Loop() {
					for i := range sides {
						sides[(i+rounds)%len(sides)].round(b, writers, length, of(10, 2)*writers)
					}
					rounds++
				}
				t := newTable("", "adds/s", "CPU-µs/add", "rate of ours is", "CPU of ours is")
				b.ReportMetric(median(sides[0].rates), "adds/s")
				for _, s := range sides {
					rate := ratios(sides[0].rates, s.rates)
					if s != sides[0] {
						b.ReportMetric(rate, "x-"+s.kind)
					}
					t.row(s.kind, median(s.rates), median(s.costs)*1e6, rate, ratios(sides[0].costs, s.costs))
				}
				t.print(b)
			})
		}
	}
}

// round opens a list of so many chores, adds some and looks whether they are there.
func (s *fileSide) round(b *testing.B, writers, length, adds int) {
	b.Helper()
	want := choreList(length+adds, false)
	path := filepath.Join(b.TempDir(), "list")
	data, err := json.Marshal(want[:length])
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	f, err := choreFiles[s.kind](path, writers)
	if err != nil {
		b.Fatal(err)
	}
	runtime.GC() // of what others left
	before, begin := processTime(b), time.Now()
	if err := addAll(f, writers, want[length:]); err != nil {
		b.Fatalf("%s: %v", s.kind, err)
	}
	took, cpu := time.Since(begin), processTime(b)-before
	s.rates = append(s.rates, float64(adds)/took.Seconds())
	s.costs = append(s.costs, cpu.Seconds()/float64(adds))

	got, err := f.list()
	if err == nil {
		err = f.close()
	}
	if err != nil {
		b.Fatalf("%s: %v", s.kind, err)
	}
	// The writers add in no order.
	slices.SortFunc(got[min(length, len(got)):], func(x, y housework.Chore) int { return choreOrder(x) - choreOrder(y) })
	if !slices.Equal(got, want) {
		b.Fatalf("%s: the list of %d chores is another one than that of %d that were added", s.kind, len(got), len(want))
	}
}

// choreOrder is the place of a chore of choreList.
func choreOrder(c housework.Chore) (n int) {
	_, _ = fmt.Sscanf(c.Description, "Dust the table in room %d", &n) // what is wrong stays 0 and is found
	return n
}

// addAll adds chores by some writers at once.
func addAll(f choreFile, writers int, chores []housework.Chore) error {
	var next atomic.Int64
	var working sync.WaitGroup
	errs := make([]error, writers)
	for w := range errs {
		working.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(chores) {
					return
				}
				errs[w] = f.add(chores[i])
			}
		})
	}
	working.Wait()
	return errors.Join(errs...)
}
