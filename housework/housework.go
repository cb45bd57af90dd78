// Package housework keeps a list of chores: in files of three formats, in memory,
// and for others over gRPC.
//
//	store, err := housework.OpenFile("housework.db", nil)
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//	_, err = store.Add(ctx, "", []housework.Chore{{Description: "Mop floors"}})
//
// # The list
//
// Chores are added at the end of the list and never removed, so that the number of
// a chore, from 1, never changes. A Store keeps one list: a MemoryStore, a FileStore,
// or a Client, which is one that a Server keeps. Package storetest has the tests that
// each of them passes, for those who write another: examples/housework-etcd has one that
// keeps its list on several machines.
//
// An Add may carry a request id: a name that the caller chooses, and keeps when it
// tries again. However often the request comes, the chores are added once.
//
// # Files
//
// JSON, Gob and Protobuf are the formats of files, those of the book Network
// Programming with Go. A FileStore replaces its file as a whole for each change, so
// that what is there is always the list before or the list after, on disk before
// the change is acknowledged; changes that come at the same time share one
// replacement. That fits lists of some ten thousand chores. Several processes may use
// one file.
//
// # The service
//
// Rosie is the gRPC service RobotMaid over any Store, with limits on what clients may
// send. Server serves her over TLS, with health checks, and ends when it is told;
// Dial connects a Client to it, and tells why that failed. The messages are those of
// package housework/v1.
//
// # What it does not do
//
// Chores have no owner, no date, and cannot be taken back. Whoever may connect may
// do everything: who that is, the TLS configuration says (package tlsutil makes
// them).
package housework

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

const (
	// MaxDescription is how many bytes the description of a chore that is added may
	// have. Files may hold longer ones.
	MaxDescription = 1024
	// MaxRequestID is how many bytes a request id may have.
	MaxRequestID = 64
)

// A Chore is something to be done.
type Chore struct {
	// Complete says that it is done.
	Complete bool

	// Description says what is to be done, in UTF-8. A chore that is added must have
	// one, of at most MaxDescription bytes.
	Description string

	// RequestID is the request that added it, if that had an id. Stores that keep ids
	// with the chores set it; what callers put there does not count.
	RequestID string `json:",omitempty"`
}

// ValidateAdd returns what every Store refuses in an Add, as an error that matches
// ErrInvalid: a description that is empty or too long, or text that is not UTF-8 (a
// *ChoreError says which chore, from 1), or a request id that is too long or has
// other characters than printable ASCII, of which the space is one. It is for those
// who write a Store.
func ValidateAdd(requestID string, chores []Chore) error {
	if err := validateRequestID(requestID); err != nil {
		return err
	}
	for i := range chores {
		if err := validateDescription(chores[i].Description); err != nil {
			return &ChoreError{Number: i + 1, Err: err}
		}
	}
	return nil
}

func validateRequestID(id string) error {
	if len(id) > MaxRequestID {
		return fmt.Errorf("%w: request id of %d bytes exceeds the limit of %d", ErrInvalid, len(id), MaxRequestID)
	}
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return fmt.Errorf("%w: request id %q has other characters than printable ASCII", ErrInvalid, id)
		}
	}
	return nil
}

func validateDescription(text string) error {
	switch {
	case text == "":
		return fmt.Errorf("%w: no description", ErrInvalid)
	case len(text) > MaxDescription:
		return fmt.Errorf("%w: description of %d bytes exceeds the limit of %d", ErrInvalid, len(text), MaxDescription)
	case !utf8.ValidString(text):
		return fmt.Errorf("%w: description is not UTF-8", ErrInvalid)
	}
	return nil
}

// isRequest reports whether what a request added has the descriptions of chores. The
// list begins with the first chore of the request; whether its chores are done by now
// does not matter.
func isRequest(list []Chore, requestID string, chores []Chore) bool {
	end := slices.IndexFunc(list, func(c Chore) bool { return c.RequestID != requestID })
	if end >= 0 {
		list = list[:end]
	}
	return slices.EqualFunc(list, chores, func(a, b Chore) bool { return a.Description == b.Description })
}
