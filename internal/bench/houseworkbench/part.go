//go:build linux

// Package houseworkbench measures package housework: calls over gRPC, codecs, and lists in
// files.
package houseworkbench

import (
	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/bench/lab"
)

// The sides of calls, besides ours. Where a name has two ends, the first is the client.
const (
	plain       = "grpc-go"                      // the generated code over a mutex and a slice
	deadline    = "grpc-go, deadlines"           // each call has one
	ourClient   = "our client, grpc-go"          // a client of ours at the server of plain
	ourServer   = "grpc-go, our server"          // the client of plain at a server of ours
	loggedSide  = "grpc-go, our server with log" // the same, and the server has a Logger
	connect     = "connect-go"
	paged       = "grpc-go, pages"            // the generated code with pages at both ends
	copying     = "grpc-go, copies"           // one message of copies of what others may complete meanwhile
	pagedServer = "grpc-go pages, our server" // the client of paged at a server of ours
)

// The sides of codecs, besides ours.
const (
	bareJSON     = "encoding/json"
	bareGob      = "encoding/gob"
	bareProtobuf = "protobuf-go"
)

// The sides of files, besides ours.
const (
	commitEach = "ours, a commit each"
	boltFull   = "bbolt, Batch, size known"
	boltBatch  = "bbolt, Batch"
	boltUpdate = "bbolt, Update"
	book       = "the book's, no fsync"
)

// Part is what is measured.
func Part() lab.Part {
	p := lab.Part{
		Name:  "housework",
		Job:   "a list of chores: served over gRPC, encoded, and kept in files",
		Peers: peers(),
		Child: runChild,

		Conclusion: conclusion,
	}
	for _, workers := range []int{1, 16, 128} {
		p.Cases = append(p.Cases, addCase(workers))
	}
	p.Cases = append(p.Cases, listCase(), emptyCase())
	for format := housework.JSON; format <= housework.Protobuf; format++ {
		for _, withIDs := range []bool{false, true} {
			p.Cases = append(p.Cases, loadCase(format, 10_000, withIDs), flushCase(format, 10_000, withIDs))
		}
		p.Cases = append(p.Cases, loadCase(format, 100_000, false), flushCase(format, 100_000, false))
	}
	for _, f := range []struct{ writers, length int }{{1, 1000}, {2, 1000}, {16, 1000}, {16, 10_000}} {
		p.Cases = append(p.Cases, fileCase(f.writers, f.length))
	}
	p.Growths = []lab.Growth{addGrowth(), codecGrowth(), fileGrowth()}
	return p
}

func peers() []lab.Peer {
	return []lab.Peer{
		{
			Name: plain, Module: "google.golang.org/grpc",
			What: "the generated code at both ends; the server keeps a slice behind a mutex, and has no option but its certificate",
		},
		{Name: deadline, What: "the same, and each call has a deadline, as ours has"},
		{Name: ourClient, What: "a client of ours at the server of " + plain},
		{Name: ourServer, What: "the client of " + plain + " at a server of ours"},
		{Name: loggedSide, What: "the same, and the server writes a record of each call, as JSON, to nowhere"},
		{
			Name: connect, Module: "connectrpc.com/connect",
			What: "the same messages over the HTTP/2 of net/http, without compression",
		},
		{Name: paged, What: "the generated code with pages of 1,000 chores at both ends"},
		{Name: copying, What: "one message, and the server makes copies, so that chores may be completed meanwhile"},
		{Name: pagedServer, What: "the client of " + paged + " at a server of ours"},
		{Name: bareJSON, What: "a Decoder or an Encoder as it comes"},
		{Name: bareGob, What: "a Decoder or an Encoder as it comes"},
		{
			Name: bareProtobuf, Module: "google.golang.org/protobuf",
			What: "the generated code, with messages made of chores and chores of messages",
		},
		{Name: commitEach, What: "a FileStore whose writers take turns, so that each chore is a commit of its own"},
		{
			Name: boltUpdate, Module: "go.etcd.io/bbolt",
			What: "a database with a transaction for each chore",
		},
		{Name: boltBatch, What: "its way to share transactions, which wait 10 ms for more writers"},
		{Name: boltFull, What: "the same, and it is told how many writers there are, so that it need not wait"},
		{Name: book, What: "os.Create and the encoder, a writer at a time; a crash may leave half a list, or none"},
	}
}
