package etcdstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/netparts/netparts/housework"
)

const (
	// perBlock is how many chores a block has. It divides perDone. An Add rewrites
	// the last block, so that a larger one costs each of them more; a smaller one
	// would let less of them into the 128 operations of a transaction.
	perBlock = 64
	// perDone is for how many chores a key has bits: 2 KiB, so that the bits
	// of two million chores fit into one transaction.
	perDone = 16384
)

func (s *Store) prefix() string {
	if s.Prefix == "" {
		return "housework/"
	}
	return s.Prefix
}

// Numbers of keys have eight digits, so that the keys are in their order.

func (s *Store) countKey() string            { return s.prefix() + "count" }
func (s *Store) blockKey(n int) string       { return fmt.Sprintf("%sblock/%08d", s.prefix(), n) }
func (s *Store) doneKey(n int) string        { return fmt.Sprintf("%sdone/%08d", s.prefix(), n) }
func (s *Store) requestKey(id string) string { return s.prefix() + "request/" + id }
func (s *Store) writerKey() string           { return s.prefix() + "writer/" + s.writer }

// An entry is a key with its value, as etcd has returned it.
type entry struct {
	kind     string // "count", "block", "done", "request" or "writer"
	name     string // what follows in the key
	number   int    // of a block or of bits
	value    []byte
	revision int64 // that has changed it last
}

// each calls f with everything that a transaction has read, in the order of its
// operations.
func (s *Store) each(resp *clientv3.TxnResponse, f func(entry) error) error {
	for _, r := range resp.Responses {
		for _, kv := range r.GetResponseRange().GetKvs() {
			if err := s.entry(kv, f); err != nil {
				return fmt.Errorf("housework: key %q in etcd: %w", kv.Key, err)
			}
		}
	}
	return nil
}

func (s *Store) entry(kv *mvccpb.KeyValue, f func(entry) error) (err error) {
	e := entry{value: kv.Value, revision: kv.ModRevision}
	e.kind, e.name, _ = strings.Cut(strings.TrimPrefix(string(kv.Key), s.prefix()), "/")
	if e.kind == "block" || e.kind == "done" {
		if e.number, err = strconv.Atoi(e.name); err != nil {
			return err
		}
	}
	return f(e)
}

// encode makes of chores what is stored: a list as housework.Protobuf writes it, in
// which each chore stands for itself, so that lists can be joined and cut.
func (c *change) encode(chores []housework.Chore) {
	size := 0
	for i := range chores {
		size += len(chores[i].Description) + len(c.id) + 12
	}
	c.data = make([]byte, 0, size)
	c.ends = make([]int, len(chores))
	hash := sha256.New()
	var b []byte
	for i := range chores {
		b = appendChore(b[:0], &chores[i], c.id)
		c.data = protowire.AppendTag(c.data, 1, protowire.BytesType)
		c.data = protowire.AppendBytes(c.data, b)
		c.ends[i] = len(c.data)
		b = binary.AppendUvarint(b[:0], uint64(len(chores[i].Description)))
		hash.Write(append(b, chores[i].Description...))
	}
	c.digest = hex.EncodeToString(hash.Sum(nil)[:16])
}

// appendChore appends the message Chore.
func appendChore(b []byte, chore *housework.Chore, id string) []byte {
	if chore.Complete {
		b = protowire.AppendTag(b, 1, protowire.VarintType)
		b = protowire.AppendVarint(b, 1)
	}
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendString(b, chore.Description)
	if id != "" {
		b = protowire.AppendTag(b, 3, protowire.BytesType)
		b = protowire.AppendString(b, id)
	}
	return b
}

// A request is the value of a key of a request.
type request struct {
	first  int
	digest string // of the descriptions, with their number
}

func (r request) String() string { return fmt.Sprintf("%d %s", r.first, r.digest) }

func parseRequest(value []byte) (r request, err error) {
	first, digest, _ := strings.Cut(string(value), " ")
	r.digest = digest
	r.first, err = strconv.Atoi(first)
	return r, err
}

func parseCount(value []byte) (int, error) {
	n, err := strconv.ParseUint(string(value), 10, 31)
	return int(n), err
}

// isList reports whether a block holds n chores.
func isList(block []byte, n int) bool {
	list, err := housework.Protobuf.Load(bytes.NewReader(block))
	return err == nil && len(list) == n
}

// A page collects what List returns: the chores from begin up to, but without, end,
// counted from 0.
type page struct {
	begin, end int
	chores     []housework.Chore
}

// take adds a block, or marks what is done in those that were added.
func (p *page) take(e entry) error {
	if e.kind == "done" {
		for i := range p.chores {
			n := p.begin + i - e.number*perDone
			if n >= 0 && n < perDone && bits(e.value).has(n) {
				p.chores[i].Complete = true
			}
		}
		return nil
	}
	block, err := housework.Protobuf.Load(bytes.NewReader(e.value))
	if err != nil {
		return err
	}
	for i, c := range block {
		n := e.number*perBlock + i
		if n < p.begin || n >= p.end {
			continue
		}
		if n != p.begin+len(p.chores) {
			return fmt.Errorf("chore %d is missing", p.begin+len(p.chores)+1)
		}
		p.chores = append(p.chores, c)
	}
	return nil
}

// bits are the value of a key done: as many bytes as it takes.
type bits []byte

func (b bits) has(n int) bool { return n/8 < len(b) && b[n/8]&(1<<(n%8)) != 0 }

// set returns the bits with one more set.
func (b bits) set(n int) bits {
	for len(b) <= n/8 {
		b = append(b, 0)
	}
	b[n/8] |= 1 << (n % 8)
	return b
}
