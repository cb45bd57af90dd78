package tftp

import (
	"io"
	"io/fs"
	"os"
)

// content is what is known of something to be sent.
type content struct {
	at    io.ReaderAt // nil if it can only be read once
	start int64       // where it begins in at
	size  int64       // bytes, or -1
	quick bool        // at is memory, or a file of the system
}

// contentOf looks at what r can do besides Read. Of files only regular ones can
// be read at random and have a size.
func contentOf(r io.Reader) content {
	c := content{size: -1}
	switch r := r.(type) {
	case interface{ Stat() (fs.FileInfo, error) }:
		if info, err := r.Stat(); err == nil && info.Mode().IsRegular() {
			c.size = info.Size()
		}
	case interface{ Size() int64 }:
		c.size = r.Size()
	case interface{ Len() int }:
		return content{size: int64(r.Len())}
	}
	if c.size < 0 {
		return content{size: -1}
	}
	if seeker, ok := r.(io.Seeker); ok {
		at, err := seeker.Seek(0, io.SeekCurrent)
		if err != nil || at > c.size {
			return content{size: -1}
		}
		c.start = at
		c.size -= at
	}
	c.at, _ = r.(io.ReaderAt)
	switch r.(type) {
	case *memory, *os.File:
		c.quick = true
	}
	return c
}
