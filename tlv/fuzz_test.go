package tlv_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/netparts/netparts/tlv"
)

// seed adds the inputs that every decoder should meet first.
func seed(f *testing.F) {
	f.Helper()
	for _, tt := range golden {
		f.Add(frame(f, tt.wire, tt.value)) // well-formed records
	}
	f.Add([]byte{})                                              // the end at once
	f.Add([]byte("\x01"))                                        // a type and no length
	f.Add([]byte("\x01\x00\x00"))                                // half a length
	f.Add([]byte("\x01\x00\x00\x00\x05ab"))                      // a value cut short
	f.Add([]byte("\x00\x00\x00\x00\x00"))                        // type 0
	f.Add([]byte("\xff\x00\x00\x00\x01a\x01\x00\x00\x00\x01b"))  // an unknown type, then a known one
	f.Add([]byte("\x01\x40\x00\x00\x00"))                        // 1 GiB claimed
	f.Add([]byte("\x02\xff\xff\xff\xff"))                        // 4 GiB - 1 claimed
	f.Add([]byte("\x01\x00\xa0\x00\x00"))                        // exactly the limit claimed
	f.Add([]byte("\x01\x00\xa0\x00\x01"))                        // one more than the limit
	f.Add([]byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")) // another protocol
}

// reference decodes in the plainest way: the records up to the first fault, and
// what the fault is.
func reference(in []byte) (recs []tlv.Record, err error) {
	for len(in) > 0 {
		if len(in) < tlv.HeaderSize {
			return recs, io.ErrUnexpectedEOF
		}
		size := uint64(in[1])<<24 | uint64(in[2])<<16 | uint64(in[3])<<8 | uint64(in[4])
		switch rest := uint64(len(in) - tlv.HeaderSize); {
		case in[0] == 0:
			return recs, tlv.ErrInvalidType
		case size > tlv.DefaultLimit:
			return recs, tlv.ErrTooLarge
		case size > rest:
			return recs, io.ErrUnexpectedEOF
		}
		end := tlv.HeaderSize + int(size)
		recs = append(recs, tlv.Record{Type: tlv.Type(in[0]), Value: in[tlv.HeaderSize:end]})
		in = in[end:]
	}
	return recs, io.EOF
}

func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		want, wantErr := reference(in)
		rest := in
		for _, w := range want {
			rec, after, err := tlv.Parse(rest)
			if err != nil || rec.Type != w.Type || !bytes.Equal(rec.Value, w.Value) {
				t.Fatalf("Parse = %v, %v, want %v", rec, err, w)
			}
			again, err := rec.AppendBinary(nil)
			if err != nil || !bytes.Equal(again, rest[:len(rest)-len(after)]) {
				t.Fatalf("encoded again: %x, %v, was %x", again, err, rest[:len(rest)-len(after)])
			}
			rest = after
		}
		if _, _, err := tlv.Parse(rest); !errors.Is(err, wantErr) {
			t.Fatalf("Parse: %v, want %v", err, wantErr)
		}
	})
}

func FuzzReader(f *testing.F) {
	seed(f)
	f.Add([]byte("\xff\x00\x00\x00\x01a\x01\x00\x00\x00\x01")) // a record, and one without its value
	f.Fuzz(func(t *testing.T, in []byte) {
		want, wantErr := reference(in)
		check := func(i int, typ tlv.Type, value []byte) {
			if i >= len(want) || typ != want[i].Type || !bytes.Equal(value, want[i].Value) {
				t.Fatalf("record %d is {%d %x}", i, typ, value)
			}
		}
		end := func(how string, n int, err error) {
			// Streams are held to no limit, so one that is too large is cut.
			if n != len(want) || !errors.Is(err, wantErr) && !(wantErr == tlv.ErrTooLarge && errors.Is(err, io.ErrUnexpectedEOF)) {
				t.Fatalf("%s: %d records, %v, want %d, %v", how, n, err, len(want), wantErr)
			}
		}
		for _, src := range []io.Reader{bytes.NewReader(in), iotest.OneByteReader(bytes.NewReader(in))} {
			r := tlv.NewReader(src)
			n := 0
			var err error
			for {
				var rec tlv.Record
				if rec, err = r.Next(); err != nil {
					break
				}
				check(n, rec.Type, rec.Value)
				n++
			}
			end("Next", n, err)
		}
		r := tlv.NewReader(bytes.NewReader(in))
		for n := 0; ; n++ {
			v, err := r.Stream()
			var value []byte
			if err == nil {
				value, err = io.ReadAll(v)
			}
			if err != nil {
				end("Stream", n, err)
				break
			}
			check(n, v.Type, value)
		}
		// Every second record is skipped, every second one half read.
		r = tlv.NewReader(iotest.HalfReader(bytes.NewReader(in)))
		for n := 0; ; n++ {
			var err error
			if n%2 == 0 {
				err = r.Skip()
			} else {
				var v *tlv.Value
				if v, err = r.Stream(); err == nil {
					_, err = io.CopyN(io.Discard, v, v.Size/2)
				}
			}
			if err == nil {
				_, _, err = r.Peek() // brings the unread half to its end
				if err == nil {
					continue
				}
				if n < len(want) { // or else it was the unread half that was cut
					n++
				}
			}
			end("Skip", n, err)
			break
		}
	})
}

func FuzzDecode(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		want, wantErr := reference(in)
		src := bytes.NewReader(in)
		for _, w := range want {
			p, err := tlv.Decode(src)
			if w.Type != tlv.BinaryType && w.Type != tlv.StringType {
				if !errors.Is(err, tlv.ErrUnexpectedType) {
					t.Fatalf("Decode of type %d: %v, want %v", w.Type, err, tlv.ErrUnexpectedType)
				}
				continue
			}
			if err != nil || p.Type() != w.Type || !bytes.Equal(p.Bytes(), w.Value) {
				t.Fatalf("Decode = %v, %v, want %v", p, err, w)
			}
			var again bytes.Buffer
			if n, err := p.WriteTo(&again); err != nil || n != int64(tlv.HeaderSize+len(w.Value)) {
				t.Fatalf("WriteTo = %d, %v", n, err)
			}
			if rec, rest, err := tlv.Parse(again.Bytes()); err != nil || len(rest) != 0 || !bytes.Equal(rec.Value, w.Value) {
				t.Fatalf("encoded again: %v, %v", rec, err)
			}
		}
		if _, err := tlv.Decode(src); !errors.Is(err, wantErr) {
			t.Fatalf("Decode: %v, want %v", err, wantErr)
		}
	})
}
