// Package tlv reads and writes type-length-value records on a stream.
//
// A stream such as a TCP connection has no message boundaries: what one side
// writes in one call, the other may read in three. Records put the boundaries
// back. Each is a header of five bytes and a value:
//
//	 0      1                           5          5+length
//	+------+---------------------------+------------------+
//	| type | length, 32-bit big-endian | value            |
//	+------+---------------------------+------------------+
//
// The type says what the value is. Types 1 ([BinaryType]) and 2 ([StringType])
// are this package's, 3 to 255 are yours, and 0 is never valid. There is no
// checksum, no version and no terminator, and a value is not looked into, so
// that it may itself hold records.
//
// # Writing and reading
//
//	w := tlv.NewWriter(conn)
//	err := w.Write(tlv.Record{Type: tlv.StringType, Value: []byte("hello")})
//
//	r := tlv.NewReader(conn)
//	for rec, err := range r.All() {
//		if err != nil {
//			return err
//		}
//		switch rec.Type {
//		case tlv.StringType:
//			handle(rec.Value) // valid until the next round; clone it to keep it
//		default:
//			return fmt.Errorf("peer sent type %d", rec.Type)
//		}
//	}
//
// A [Writer] is safe for concurrent use. It makes one Write call a record, or
// gathers records until Flush if it is Buffered. A [Reader] hands out views of one
// buffer. [Writer.Stream] and [Reader.Stream] move values that are larger than
// memory. [Reader.Peek] tells what comes next, so that a program can choose between
// Next, Stream and [Reader.Skip].
//
// [Parse] and [Record.AppendBinary] are the same codec on byte slices.
// [Payload], [Binary], [String] and [Decode] are a second, typed view for
// programs that prefer one Go type for each record type; they read no further
// than the record, and allocate each value.
//
// The stream may be anything that keeps the order of bytes: a TCP or Unix stream
// connection, TLS, a pipe, a file. It cannot be a socket that keeps messages apart
// (udp, unixgram, unixpacket), where a Read drops what it has no room for: give each
// message to Parse.
//
// # Limits
//
// A length is a claim of the peer. It is compared with a limit ([DefaultLimit],
// 10 MiB; equal is accepted) before the value is read, and within the limit memory
// grows with the bytes that arrive: a header alone costs under 5 KiB, whatever it
// claims. Reader.Stream and Reader.Skip hold no value, and have no limit but the
// format's 4 GiB - 1.
//
// The package keeps no time. Against a peer that stops in the middle of a
// record, set a deadline on the connection.
//
// # Errors
//
// [io.EOF] means that the input ended between two records. If it ends inside one,
// the error is a [*DecodeError] that wraps [io.ErrUnexpectedEOF]. A record that
// the peer may not send is a *DecodeError too, with [ErrTooLarge],
// [ErrInvalidType] or [ErrUnexpectedType] inside. What the underlying reader or
// writer reports is wrapped, so that errors.Is(err, os.ErrDeadlineExceeded)
// works.
//
// A failed Reader or Writer stays failed, since part of a record may be lost. That
// holds for a deadline too: to notice a silent peer and go on, let another
// goroutine keep the time.
package tlv
