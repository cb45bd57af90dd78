package tftp

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// An Option is a name and a value of a request or an [OptionAck] (RFC 2347).
// Names are compared in any case.
type Option struct {
	Name  string // at least one byte, none of them NUL
	Value string // in ASCII, mostly a decimal number, without a NUL
}

// The options that this package knows.
const (
	OptionBlockSize  = "blksize"    // bytes a block, RFC 2348
	OptionTimeout    = "timeout"    // seconds before a packet is sent again, RFC 2349
	OptionSize       = "tsize"      // bytes of the file, RFC 2349
	OptionWindowSize = "windowsize" // blocks before an ACK, RFC 7440
)

const (
	defaultBlockSize = 512
	minBlockSize     = 8     // RFC 2348
	maxBlockSize     = 65464 // RFC 2348
	maxWindowSize    = 65535 // RFC 7440
	maxSize          = 1<<63 - 1
)

// appendOptions appends list to a packet.
func appendOptions(b []byte, list []Option) ([]byte, error) {
	for _, o := range list {
		if o.Name == "" {
			return b, errors.New("tftp: option without a name")
		}
		var err error
		if b, err = appendStrings(b, o.Name, o.Value); err != nil {
			return b, err
		}
	}
	return b, nil
}

// parseOptions reads pairs of strings. Zero bytes behind the last pair are
// padding, which some senders add.
func parseOptions(s string) ([]Option, error) {
	if strings.Trim(s, "\x00") == "" {
		return nil, nil
	}
	list := make([]Option, 0, min(strings.Count(s, "\x00")/2, 16))
	for strings.Trim(s, "\x00") != "" {
		var o Option
		var ok1, ok2 bool
		o.Name, s, ok1 = strings.Cut(s, "\x00")
		o.Value, s, ok2 = strings.Cut(s, "\x00")
		if !ok1 || !ok2 || o.Name == "" {
			return nil, malformed("option without name or value")
		}
		list = append(list, o)
	}
	return list, nil
}

// parseNumber reads a decimal number without a sign.
func parseNumber(s string, least, most int64) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= least && n <= most
}

// terms are what the two sides of a transfer have agreed on.
type terms struct {
	blockSize int
	window    int           // blocks
	timeout   time.Duration // the longest wait before sending again
	size      int64         // of the file, or -1
}

// An offer is what a server can agree to.
type offer struct {
	maxBlockSize int
	maxWindow    int
	timeout      time.Duration
	size         int64 // what a read promises, or -1
	reading      bool
}

// agree returns the terms for the options of a request, and the options of the
// OACK, none if it takes none. What is unknown, out of range or named a second
// time is left out, as RFC 2347 says.
func (o offer) agree(asked []Option) (terms, []Option) {
	t := terms{blockSize: defaultBlockSize, window: 1, timeout: o.timeout, size: o.size}
	if !o.reading {
		t.size = -1
	}
	var taken []Option
	for i, option := range asked {
		if _, again := lookup(asked[:i], option.Name); again {
			continue
		}
		value, ok := o.take(&t, option)
		if !ok {
			continue
		}
		if taken == nil {
			taken = make([]Option, 0, 4)
		}
		taken = append(taken, Option{option.Name, value})
	}
	// A window is bounded in bytes as well, whatever the order of the options.
	if most := max(1, maxWindowBytes/t.blockSize); t.window > most {
		t.window = most
		for i := range taken {
			if strings.EqualFold(taken[i].Name, OptionWindowSize) {
				taken[i].Value = strconv.Itoa(most)
			}
		}
	}
	return t, taken
}

// take enters one option into t and returns the value that the OACK gives it.
func (o offer) take(t *terms, option Option) (value string, ok bool) {
	switch {
	case strings.EqualFold(option.Name, OptionBlockSize):
		n, ok := parseNumber(option.Value, minBlockSize, maxBlockSize)
		if !ok {
			return "", false
		}
		t.blockSize = min(int(n), o.maxBlockSize)
		return strconv.Itoa(t.blockSize), true
	case strings.EqualFold(option.Name, OptionWindowSize):
		n, ok := parseNumber(option.Value, 1, maxWindowSize)
		if !ok {
			return "", false
		}
		t.window = min(int(n), o.maxWindow)
		return strconv.Itoa(t.window), true
	case strings.EqualFold(option.Name, OptionTimeout):
		n, ok := parseNumber(option.Value, 1, 255)
		if !ok {
			return "", false
		}
		t.timeout = time.Duration(n) * time.Second
		return option.Value, true
	case strings.EqualFold(option.Name, OptionSize):
		n, ok := parseNumber(option.Value, 0, maxSize)
		if !ok || o.reading && o.size < 0 {
			return "", false
		}
		if o.reading {
			return strconv.FormatInt(o.size, 10), true
		}
		t.size = n
		return option.Value, true
	}
	return "", false
}

// lookup returns the value of the first option called name.
func lookup(list []Option, name string) (string, bool) {
	for _, o := range list {
		if strings.EqualFold(o.Name, name) {
			return o.Value, true
		}
	}
	return "", false
}
