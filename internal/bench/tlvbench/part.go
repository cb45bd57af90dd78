//go:build linux

// Package tlvbench measures package tlv.
package tlvbench

import "github.com/netparts/netparts/internal/bench/lab"

// The sides beside lab.Ours. Those whose names begin with it are other ways to use
// package tlv.
const (
	copied   = "ours, copied"
	batched  = "ours, 16 a call"
	buffered = "ours, buffered"
	delim    = "protodelim"
	byHand   = "by hand"
	plain    = "plain"
	gathered = "plain behind bufio"
	typed    = "typed"
)

// sizes are those of values, in bytes.
var sizes = []int{16, 1 << 10, 64 << 10}

// Part is what is measured.
func Part() lab.Part {
	p := lab.Part{
		Name: "tlv",
		Job:  "records of bytes, encoded and decoded, in memory and over TCP",
		Peers: []lab.Peer{
			{Name: copied, What: "each value is copied to memory of the caller's"},
			{Name: batched, What: "a buffered Writer that gets 16 records a call"},
			{Name: buffered, What: "a buffered Writer that gets one record a call"},
			{
				Name: delim, What: "messages of protobuf with one field of bytes, each behind its length; read through a bufio.Reader, as it is meant to be",
				Module: "google.golang.org/protobuf",
			},
			{Name: plain, What: "what one writes first, with binary.Read and binary.Write alone; its values are allocated anew"},
			{Name: gathered, What: "the same with a bufio.Writer and a bufio.Reader between it and the connection"},
			{Name: typed, What: "the same in the shape of Network Programming with Go: a Go type for each type of record, behind a decoder that looks at the type and puts it back"},
			{Name: byHand, What: "a header of five bytes written out and looked at by hand, values copied to memory of the caller's, behind bufio: about 15 lines that check nothing but a limit"},
		},
		Child:   child,
		Growths: []lab.Growth{connectionsCPU(), connectionsMemory()},
		Tested: []string{
			"A header that claims 10 MiB or 4 GiB, with five bytes behind it, costs at most 64 KiB of memory (`TestHostileHeaderCostsLittleMemory`).",
			"A value of 1 GiB streams through in at most 128 KiB of memory (`TestGibibyteStreamsThroughInLittleMemory`).",
		},
		Conclusion: conclusion,
	}
	for _, size := range sizes {
		p.Cases = append(p.Cases, decode(size))
	}
	for _, size := range sizes {
		p.Cases = append(p.Cases, encode(size))
	}
	for _, size := range sizes {
		p.Cases = append(p.Cases, stream(size))
	}
	return p
}

const conclusion = `- To read many small records, views are what saves: nothing is allocated or copied. Against codecs that allocate each value, or reflect, the difference is large at any size.
- Against a header looked at by hand behind bufio, which copies into memory of its own, the difference is some nanoseconds a small record, and on a connection there is next to none: most of what is left is the kernel's work. What a package adds there is not speed but the checks: limits, exact errors, memory that grows with what has arrived.
- Gathering counts more than the codec. A write for each record, or even for each part, costs many times what any codec here does; plain code behind bufio is much nearer to ours than to plain code without.
- A Writer may be used by several goroutines, and its lock is most of what a small record costs. Code that writes from one goroutine pays less by AppendBinary, by several records a call, or by hand.
- Where values are large and the writer takes them as they are (a file, a socket by writev), do not copy them first: both a Writer and plain Write calls hand them on, AppendBinary and bufio copy.
- protodelim is for messages with fields. For bytes alone each costs an allocation and a copy, as with plain code; for structured data it does what TLV records leave to the application.
- With thousands of quiet connections the reader's wake-up is the cost, and the codecs differ little. The memory is that of the goroutine and its buffer: ours begins with 4.5 KiB and grows on busy connections, a bufio.Reader keeps the size it was made with.`

const (
	viewsReason = "A view of 16 bytes costs about as much as a few instructions on its header and its share of reading ahead, so that the ratio is that of a very small figure, " +
		"which a busy machine changes more than the other one: what the profile has for plain is binary.Read and its allocations."
	copyReason   = "Both copy the value, and at this size the copy is most of what is left; plain pays for memory beside it, which is cheap while the collector has little to do."
	writerReason = "The lock that lets goroutines share a Writer is more than half of such a call in the profile, and the record itself a tenth. " +
		"Several records a call share it, and AppendBinary has none."
)
