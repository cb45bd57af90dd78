package tftp

import (
	"io"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
)

// A Request is what a client asks for.
type Request struct {
	// Name is the file's, as the client sent it: it may have any bytes but NUL,
	// and begin with "/" or "..". [FS] and [Folder] check it.
	Name string

	// Mode is [ModeOctet] or [ModeNetascii]. The server translates; hooks see
	// the text of this host.
	Mode string

	// Options are those that the client sent, in order, known or not.
	Options []Option

	// Peer is the address of the client, and Local the one that it asked. The
	// IP of Local is the zero Addr if the system does not tell it.
	Peer, Local netip.AddrPort

	// Size is how many bytes the client is going to send, if it says so by the
	// option tsize of a write request, or -1.
	Size int64
}

// An Upload is where the server writes a file that a client sends. Exactly one of
// Commit and Abort is called at the end.
type Upload interface {
	io.Writer

	// Commit stores the file. The client is told of success only afterwards.
	// If Commit fails, Abort is not called.
	Commit() error

	// Abort drops what was written, because of cause.
	Abort(cause error)
}

// Stats are the figures of a transfer.
type Stats struct {
	Size       int64         // of the file in bytes, as the option tsize told; -1 if it did not
	Bytes      int64         // that have arrived, as they are on the wire
	Blocks     int64         // that have arrived
	Resent     int64         // blocks or acknowledgments that were sent again
	Duration   time.Duration // since the request
	BlockSize  int           // agreed on, in bytes
	WindowSize int           // agreed on, in blocks
	Timeout    time.Duration // the longest wait before sending again
}

// A Transfer is what a server reports of a transfer that has ended.
type Transfer struct {
	// Stats are the figures, as far as the transfer came.
	Stats

	// Request is what the client asked for.
	Request Request

	// Write says that the client sent the file, instead of reading it.
	Write bool

	// Probe says that the client only wanted to know the size: it answered the
	// options with an ERROR of [CodeOption], as UEFI firmware does. Err is nil
	// then.
	Probe bool

	// Err is why the transfer failed, or nil. What the client said is an
	// [*Error]; a client that fell silent is [ErrNoAnswer].
	Err error
}

// loggable returns a string of a peer's such that it cannot break a log: it is
// quoted if anything in it is not printable.
func loggable(s string) string {
	for i, r := range s {
		if r == utf8.RuneError || !strconv.IsPrint(r) || r == '"' || i > 255 {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}
