package tlv_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/netparts/netparts/tlv"
)

func TestStreamedValues(t *testing.T) {
	for _, size := range []int{0, 1, 100, tlv.MinBuffer, tlv.MaxBuffer, 3*tlv.MaxBuffer + 1} {
		value := strings.Repeat("v", size)
		in := records(t, rec(1, "before"), rec(7, value), rec(2, "after"))
		for name, read := range map[string]func(*tlv.Value) (string, error){
			"io.Copy": func(v *tlv.Value) (string, error) {
				var b strings.Builder
				_, err := io.Copy(&b, v)
				return b.String(), err
			},
			"io.ReadAll": func(v *tlv.Value) (string, error) {
				b, err := io.ReadAll(v)
				return string(b), err
			},
			"a large buffer": func(v *tlv.Value) (string, error) {
				b := make([]byte, size+tlv.MaxBuffer)
				n, err := io.ReadFull(v, b[:size])
				return string(b[:n]), err
			},
			"one byte": func(v *tlv.Value) (string, error) {
				b, err := io.ReadAll(iotest.OneByteReader(v))
				return string(b), err
			},
		} {
			t.Run(fmt.Sprintf("%d/%s", size, name), func(t *testing.T) {
				r := tlv.NewReader(iotest.HalfReader(bytes.NewReader(in)))
				if err := r.Skip(); err != nil {
					t.Fatal(err)
				}
				v, err := r.Stream()
				if err != nil || v.Type != 7 || v.Size != int64(size) {
					t.Fatalf("Stream = %+v, %v", v, err)
				}
				if got, err := read(v); err != nil || got != value {
					t.Errorf("read %d bytes, %v, want %d", len(got), err, size)
				}
				if n, err := v.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("Read at the end = %d, %v, want 0, EOF", n, err)
				}
				if got, err := drain(r); err != nil || got != "2:after" {
					t.Errorf("after the value: %q, %v", got, err)
				}
			})
		}
	}
}

func TestUnreadPartOfAStreamedValueIsPassedOver(t *testing.T) {
	value := strings.Repeat("v", 2*tlv.MaxBuffer)
	for _, n := range []int64{0, 1, 10, tlv.MinBuffer, tlv.MaxBuffer, 2 * tlv.MaxBuffer} {
		for name, next := range map[string]func(*tlv.Reader) (string, error){
			"Next": func(r *tlv.Reader) (string, error) {
				rec, err := r.Next()
				return string(rec.Value), err
			},
			"Stream": func(r *tlv.Reader) (string, error) {
				v, err := r.Stream()
				if err != nil {
					return "", err
				}
				b, err := io.ReadAll(v)
				return string(b), err
			},
			"Peek": func(r *tlv.Reader) (string, error) {
				if _, size, err := r.Peek(); size != 5 || err != nil {
					return "", fmt.Errorf("peeked %d, %w", size, err)
				}
				rec, err := r.Next()
				return string(rec.Value), err
			},
		} {
			t.Run(fmt.Sprintf("%d then %s", n, name), func(t *testing.T) {
				r := tlv.NewReader(bytes.NewReader(records(t, rec(1, value), rec(2, "after"))))
				v, err := r.Stream()
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.CopyN(io.Discard, v, n); got != n || err != nil {
					t.Fatalf("CopyN = %d, %v", got, err)
				}
				if got, err := next(r); err != nil || got != "after" {
					t.Errorf("next record is %q, %v", got, err)
				}
			})
		}
	}
}

func TestStaleValueReadsNothing(t *testing.T) {
	r := tlv.NewReader(bytes.NewReader(records(t, rec(1, "first"), rec(2, "second"))))
	v, err := r.Stream()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Peek(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	if n, err := v.Read(b); n != 0 || err == nil || err == io.EOF {
		t.Errorf("Read = %d, %v, want an error", n, err)
	}
	if n, err := v.WriteTo(io.Discard); n != 0 || err == nil {
		t.Errorf("WriteTo = %d, %v, want an error", n, err)
	}
	if got, err := drain(r); err != nil || got != "2:second" {
		t.Errorf("rest is %q, %v", got, err)
	}
}

// A full disk must not cost the connection.
func TestFailingDestinationLeavesTheReaderInStep(t *testing.T) {
	full := errors.New("disk full")
	value := strings.Repeat("v", 3*tlv.MaxBuffer)
	r := tlv.NewReader(bytes.NewReader(records(t, rec(1, value), rec(2, "after"))))
	v, err := r.Stream()
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(&failAfter{n: 10_000, err: full}, v)
	if n != 10_000 || !errors.Is(err, full) {
		t.Errorf("Copy = %d, %v, want 10000, %v", n, err, full)
	}
	rest, err := io.Copy(io.Discard, io.LimitReader(v, 1000))
	if rest != 1000 || err != nil {
		t.Errorf("reading on = %d, %v", rest, err)
	}
	if got, err := drain(r); err != nil || got != "2:after" {
		t.Errorf("rest is %q, %v", got, err)
	}
}

// failAfter takes n bytes and then fails, in the middle of a Write.
type failAfter struct {
	n   int
	err error
}

func (f *failAfter) Write(p []byte) (int, error) {
	n := min(len(p), f.n)
	f.n -= n
	if n < len(p) {
		return n, f.err
	}
	return n, nil
}

func TestStreamOfAFailingSource(t *testing.T) {
	broken := errors.New("broken")
	head := "\x01\x00\x00\x00\x01a" + "\x07\x00\x10\x00\x00" + strings.Repeat("v", 20_000)
	for name, read := range map[string]func(*tlv.Value) error{
		"Read":       func(v *tlv.Value) error { _, err := io.ReadAll(v); return err },
		"large Read": func(v *tlv.Value) error { _, err := io.ReadFull(v, make([]byte, 1<<20)); return err },
		"WriteTo":    func(v *tlv.Value) error { _, err := v.WriteTo(io.Discard); return err },
	} {
		t.Run(name, func(t *testing.T) {
			r := tlv.NewReader(io.MultiReader(strings.NewReader(head), iotest.ErrReader(broken)))
			if err := r.Skip(); err != nil {
				t.Fatal(err)
			}
			v, err := r.Stream()
			if err != nil {
				t.Fatal(err)
			}
			want := "tlv: reading record at offset 6: broken"
			if err := read(v); !errors.Is(err, broken) || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
			if _, err := r.Next(); !errors.Is(err, broken) {
				t.Errorf("Next: %v, want %v", err, broken)
			}
			if _, err := v.Read(make([]byte, 1)); !errors.Is(err, broken) {
				t.Errorf("Read again: %v, want %v", err, broken)
			}
		})
	}
}

// zeros is a source of n zero bytes that allocates nothing.
type zeros struct{ n int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.n))
	clear(p[:n])
	z.n -= int64(n)
	return n, nil
}

func TestGibibyteStreamsThroughInLittleMemory(t *testing.T) {
	const size = 1 << 30
	const most = 128 << 10
	for name, connect := range map[string]func() (net.Conn, net.Conn){
		"pipe": net.Pipe,
		"tcp":  func() (net.Conn, net.Conn) { return tcpPair(t) },
	} {
		t.Run(name, func(t *testing.T) {
			client, server := connect()
			defer server.Close()
			sent := make(chan error, 1)
			var got int64
			cost := allocated(func() {
				go func() {
					w := tlv.NewWriter(client)
					w.Limit = size
					sent <- errors.Join(w.Stream(7, size, &zeros{size}), client.Close())
				}()
				v, err := tlv.NewReader(server).Stream()
				if err != nil {
					t.Error(err)
					return
				}
				if got, err = io.Copy(io.Discard, v); err != nil {
					t.Error(err)
				}
			})
			if got != size {
				t.Errorf("%d bytes arrived, want %d", got, size)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			if cost > most {
				t.Errorf("streaming allocated %d bytes on both sides, want at most %d", cost, most)
			}
		})
	}
}

// Values of any size stream while others read ahead of them and behind them.
func TestNextAroundAStreamedValue(t *testing.T) {
	value := strings.Repeat("\x01\x00\x00\x00\x01v", 1000) // which looks like records
	r := tlv.NewReader(bytes.NewReader(records(t, rec(1, "before"), rec(7, value), rec(2, "after"))))
	if rec, err := r.Next(); err != nil || string(rec.Value) != "before" {
		t.Fatalf("Next = %v, %v", rec, err)
	}
	v, err := r.Stream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(v, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if rec, err := r.Next(); err != nil || string(rec.Value) != "after" {
		t.Errorf("Next after a half-read value = %v, %v", rec, err)
	}
}
