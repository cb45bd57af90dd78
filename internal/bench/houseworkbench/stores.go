//go:build linux

package houseworkbench

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/bench/lab"
)

// A store is a list on disk.
type store interface {
	add(housework.Chore) error
	list() ([]housework.Chore, error)
	close() error
}

// stores are the ways to keep one, which is there as JSON. All but the book's are on disk
// when add returns.
var stores = map[string]func(path string, writers int) (store, error){
	lab.Ours: openOurs,
	// Ours, with a commit for each.
	commitEach: func(path string, writers int) (store, error) {
		f, err := openOurs(path, writers)
		return &turns{store: f}, err
	},
	// os.Create and the encoder, as the book has it, without a sync.
	book: func(path string, _ int) (store, error) { return &turns{store: &bookFile{path: path}}, nil },
	// A transaction for each.
	boltUpdate: func(path string, _ int) (store, error) {
		return openBolt(path, func(db *bbolt.DB) func(func(*bbolt.Tx) error) error { return db.Update })
	},
	// Its way to share transactions, which wait for more for 10 ms.
	boltBatch: func(path string, _ int) (store, error) {
		return openBolt(path, func(db *bbolt.DB) func(func(*bbolt.Tx) error) error { return db.Batch })
	},
	// The same, and it knows how many writers there are, so that it need not wait.
	boltFull: func(path string, writers int) (store, error) {
		return openBolt(path, func(db *bbolt.DB) func(func(*bbolt.Tx) error) error {
			db.MaxBatchSize = writers
			return db.Batch
		})
	},
}

// turns is a store that is changed by one at a time.
type turns struct {
	store
	mu sync.Mutex
}

func (f *turns) add(c housework.Chore) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.store.add(c)
}

type ourFile struct{ store *housework.FileStore }

func openOurs(path string, _ int) (store, error) {
	file, err := housework.OpenFile(path, nil)
	if err != nil {
		return nil, err
	}
	return ourFile{file}, nil
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
	err = json.NewDecoder(file).Decode(&list)
	return list, errors.Join(err, file.Close())
}

func (*bookFile) close() error { return nil }

// A boltFile is a list in a bucket: the number of a chore is the key.
type boltFile struct {
	db     *bbolt.DB
	change func(func(*bbolt.Tx) error) error
}

var boltBucket = []byte("chores")

// openBolt makes a database of the list of JSON at path.
func openBolt(path string, change func(*bbolt.DB) func(func(*bbolt.Tx) error) error) (store, error) {
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
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &boltFile{db, change(db)}, nil
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
