package housework

import "io"

// The limits of a file and the scanner for messages of peers cannot be reached
// otherwise without a GiB and a server.

func LoadLimit(f Format, r io.Reader, limit int64) ([]Chore, error) { return f.load(r, limit) }

func FlushLimit(f Format, w io.Writer, chores []Chore, limit int64) error {
	return f.flush(w, chores, limit)
}

// ScannedChore is a wireChore.
type ScannedChore struct {
	Offset                 int
	Complete               bool
	Description, RequestID string
}

// ScanChores calls scanChores.
func ScanChores(data []byte, strict bool, yield func(ScannedChore) error) (requestID string, nextNumber int32, err error) {
	list, err := scanChores(data, strict, func(c wireChore) error {
		return yield(ScannedChore{c.offset, c.complete, string(c.description), string(c.requestID)})
	})
	return string(list.requestID), list.nextNumber, err
}

// CountChores counts the chores of data as Rosie does.
func CountChores(data []byte) (int, error) {
	n := 0
	_, err := scanChores(data, skipUnknown, func(wireChore) error {
		n++
		return nil
	})
	return n, err
}
