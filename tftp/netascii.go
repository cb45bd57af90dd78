package tftp

import "io"

// Netascii is text as Telnet sends it (RFC 764, which RFC 1350 refers to): a line
// ends with CR LF, and a CR that is no part of that is followed by NUL. A file
// here has lines that end with LF.

// A netasciiEncoder reads text of this host as netascii.
type netasciiEncoder struct {
	r       io.Reader
	buf     [1024]byte
	pending []byte // of buf, not yet encoded
	second  byte   // the second byte of a pair that is half read
	half    bool
	err     error
}

func (e *netasciiEncoder) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		switch {
		case e.half:
			p[n] = e.second
			e.half = false
			n++
			continue
		case len(e.pending) == 0 && e.err == nil && n > 0:
			return n, nil // what there is, before a Read that may block
		case len(e.pending) == 0 && e.err == nil:
			var m int
			m, e.err = e.r.Read(e.buf[:])
			e.pending = e.buf[:m]
			continue
		case len(e.pending) == 0:
			return n, e.err
		}
		c := e.pending[0]
		e.pending = e.pending[1:]
		switch c {
		case '\n':
			c, e.second, e.half = '\r', '\n', true
		case '\r':
			e.second, e.half = 0, true
		}
		p[n] = c
		n++
	}
	return n, nil
}

// A netasciiDecoder writes netascii as text of this host. A CR that nothing
// belongs to, which a proper sender does not send, stays as it is.
type netasciiDecoder struct {
	w   io.Writer
	cr  bool // the last byte was CR
	buf []byte
}

func (d *netasciiDecoder) Write(p []byte) (int, error) {
	out := d.buf[:0]
	for _, c := range p {
		if d.cr {
			d.cr = false
			switch c {
			case '\n':
				out = append(out, '\n')
				continue
			case 0:
				out = append(out, '\r')
				continue
			}
			out = append(out, '\r')
		}
		if c == '\r' {
			d.cr = true
			continue
		}
		out = append(out, c)
	}
	d.buf = out
	if len(out) == 0 {
		return len(p), nil
	}
	if err := writeAll(d.w, out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// end writes a CR at the very end.
func (d *netasciiDecoder) end() error {
	if !d.cr {
		return nil
	}
	d.cr = false
	return writeAll(d.w, []byte{'\r'})
}

// writeAll writes p, and makes an error of a Write that took less without one.
func writeAll(w io.Writer, p []byte) error {
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return err
}
