package tftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// A Code says what kind an [Error] is (RFC 1350, RFC 2347).
type Code uint16

// The codes.
const (
	CodeUndefined  Code = 0 // see the message
	CodeNotFound   Code = 1 // file not found
	CodeAccess     Code = 2 // access violation
	CodeDiskFull   Code = 3 // disk full or allocation exceeded
	CodeIllegal    Code = 4 // illegal TFTP operation
	CodeUnknownID  Code = 5 // unknown transfer ID
	CodeFileExists Code = 6 // file already exists
	CodeNoUser     Code = 7 // no such user
	CodeOption     Code = 8 // terminated due to option negotiation
)

// texts are the messages for the codes.
var texts = [...]string{
	"undefined error", "file not found", "access violation", "disk full or allocation exceeded",
	"illegal TFTP operation", "unknown transfer ID", "file already exists", "no such user",
	"option negotiation refused",
}

// String returns the words of the RFC for c.
func (c Code) String() string {
	if int(c) < len(texts) {
		return texts[c]
	}
	return fmt.Sprintf("error code %d", uint16(c))
}

// An Error (ERROR) ends a transfer. As an error it is what the peer said; returned
// from a hook of a [Server] it is what the peer is told.
//
//	 2 bytes   2 bytes  string    1
//	+--------+---------+---------+---+
//	| 5      | code    | message | 0 |
//	+--------+---------+---------+---+
//
// errors.Is finds [fs.ErrNotExist] in [CodeNotFound], [fs.ErrPermission] in
// [CodeAccess] and [fs.ErrExist] in [CodeFileExists].
type Error struct {
	Code    Code   // what kind of error it is
	Message string // for people; from a peer it may hold any bytes but NUL
}

// Opcode returns [OpError].
func (*Error) Opcode() Opcode { return OpError }

// AppendBinary appends the packet to b. A message ends at its first NUL, and at
// 500 bytes; an empty one is replaced with the text of the code.
func (e *Error) AppendBinary(b []byte) ([]byte, error) {
	message := e.Message
	if message == "" {
		message = e.Code.String()
	}
	b = appendHeader(b, OpError, uint16(e.Code))
	for i := 0; i < len(message) && i < 500 && message[i] != 0; i++ {
		b = append(b, message[i])
	}
	return append(b, 0), nil
}

// Error gives the code and the message, which is quoted.
func (e *Error) Error() string {
	if e.Message == "" || e.Message == e.Code.String() {
		return "tftp: " + e.Code.String()
	}
	return fmt.Sprintf("tftp: %v: %q", e.Code, e.Message)
}

// Is reports whether target is the standard error that the code means.
func (e *Error) Is(target error) bool {
	switch e.Code {
	case CodeNotFound:
		return target == fs.ErrNotExist
	case CodeAccess:
		return target == fs.ErrPermission
	case CodeFileExists:
		return target == fs.ErrExist
	}
	return false
}

// parseError reads an ERROR. A message without its NUL is taken as it is: the
// transfer is over anyway.
func parseError(b []byte) (*Error, error) {
	if len(b) < headerSize {
		return nil, malformed("ERROR of %d bytes", len(b))
	}
	message, _, _ := bytes.Cut(b[headerSize:], []byte{0})
	return &Error{Code: Code(binary.BigEndian.Uint16(b[2:])), Message: string(message)}, nil
}

var (
	// ErrServerClosed is returned by [Server.Serve] and ListenAndServe after
	// Shutdown or Close, and is the Err of transfers that Close ended.
	ErrServerClosed = errors.New("tftp: server closed")

	// ErrNoAnswer says that the peer stayed silent, although everything was
	// sent again as often as Retries allows. It matches
	// [os.ErrDeadlineExceeded].
	ErrNoAnswer error = noAnswer{}
)

type noAnswer struct{}

func (noAnswer) Error() string { return "tftp: no answer from the peer" }
func (noAnswer) Unwrap() error { return os.ErrDeadlineExceeded }

// Timeout and Temporary make it a [net.Error].
func (noAnswer) Timeout() bool { return true }

// Temporary is as of [os.ErrDeadlineExceeded].
func (noAnswer) Temporary() bool { return true }

// errReplaced ends a transfer whose peer has asked for another one from the same
// port.
var errReplaced = errors.New("tftp: the peer has begun another transfer")

// A localError is an error of this side, with what the peer is told of it.
type localError struct {
	code  Code
	cause error
}

func (e *localError) Error() string { return e.cause.Error() }
func (e *localError) Unwrap() error { return e.cause }

// report returns the ERROR that tells the peer of err. Texts are those of the
// codes, since the text of err may show paths of this host.
func report(err error) *Error {
	if said, ok := errors.AsType[*Error](err); ok {
		return said
	}
	if local, ok := errors.AsType[*localError](err); ok {
		return &Error{Code: local.code}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG):
		return &Error{Code: CodeNotFound}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrInvalid):
		return &Error{Code: CodeAccess}
	case errors.Is(err, fs.ErrExist):
		return &Error{Code: CodeFileExists}
	case isDiskFull(err):
		return &Error{Code: CodeDiskFull}
	case errors.Is(err, ErrServerClosed):
		return &Error{Code: CodeUndefined, Message: "server is shutting down"}
	}
	return &Error{Code: CodeUndefined, Message: "transfer failed"}
}

// isPassing reports whether err comes from a shortage that may be over when the
// peer asks again.
func isPassing(err error) bool {
	for _, errno := range [...]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
