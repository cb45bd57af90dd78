package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"testing"
	"time"
)

// An error of package net is a chain. *net.OpError tells what was tried, over which network
// and with whom; what it wraps tells why it failed. To look at the text instead is a guess
// that breaks with the next system.
func Example_opError() {
	client, server, err := pair()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	defer server.Close()

	// Nobody listens at the port of the client's end, and nobody can as long as it is open.
	addr := client.LocalAddr().String()
	_, err = net.DialTimeout("tcp", addr, patience)
	if op, ok := errors.AsType[*net.OpError](err); ok {
		fmt.Println("operation:", op.Op)
		fmt.Println("network:", op.Net)
		fmt.Println("with whom:", op.Addr.String() == addr)
		fmt.Println("timed out:", op.Timeout())
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		fmt.Println("system call:", call.Syscall[:len("connect")]) // ConnectEx on Windows
	}
	fmt.Println("refused:", errors.Is(err, errRefused))
	// Output:
	// operation: dial
	// network: tcp
	// with whom: true
	// timed out: false
	// system call: connect
	// refused: true
}

// That there is no such host, *net.DNSError tells apart from servers that do not answer:
// the first will stay so, and the second may pass. This name has an empty part, so that
// the resolver of package net says no without asking anybody.
func Example_dnsError() {
	dialer := net.Dialer{Timeout: patience, Resolver: &net.Resolver{PreferGo: true}}
	_, err := dialer.Dial("tcp", "no..such.host:80")
	if op, ok := errors.AsType[*net.OpError](err); ok {
		fmt.Println("operation:", op.Op)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		fmt.Println("name:", dns.Name)
		fmt.Println("not found:", dns.IsNotFound)
		fmt.Println("timed out:", dns.IsTimeout)
	}
	// Output:
	// operation: dial
	// name: no..such.host
	// not found: true
	// timed out: false
}

// diagnose puts an error of the network in a word, for a log or a counter. The order
// matters where one error has several of these: a context's deadline is a time-out as well.
func diagnose(err error) string {
	timeout, ok := errors.AsType[net.Error](err)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case err == nil:
		return "success"
	case errors.Is(err, io.EOF):
		return "the peer has ended"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the peer has ended too early"
	case errors.Is(err, net.ErrClosed):
		return "closed here"
	case errors.Is(err, context.Canceled):
		return "canceled here"
	case ok && timeout.Timeout():
		return "timed out"
	case errors.Is(err, errRefused):
		return "refused"
	case errors.Is(err, errReset):
		return "reset by the peer"
	case isDNS && dns.IsNotFound:
		return "no such host"
	}
	return "other"
}

// Timeout is the question that all time-outs answer with yes. The values differ: a deadline
// of a connection is os.ErrDeadlineExceeded, and one of a dial is
// context.DeadlineExceeded, whether the context had it or the Dialer.
func TestDiagnose(t *testing.T) {
	op := func(cause error) error {
		return fmt.Errorf("asking: %w", &net.OpError{Op: "read", Net: "tcp", Err: cause})
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, "success"},
		{io.EOF, "the peer has ended"},
		{op(io.ErrUnexpectedEOF), "the peer has ended too early"},
		{op(net.ErrClosed), "closed here"},
		{op(os.ErrDeadlineExceeded), "timed out"},
		{op(context.DeadlineExceeded), "timed out"},
		{context.DeadlineExceeded, "timed out"},
		{op(context.Canceled), "canceled here"},
		{op(os.NewSyscallError("connect", errRefused)), "refused"},
		{op(os.NewSyscallError("read", errReset)), "reset by the peer"},
		{op(&net.DNSError{Err: "no such host", IsNotFound: true}), "no such host"},
		{op(&net.DNSError{Err: "i/o timeout", IsTimeout: true}), "timed out"},
		{op(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), "other"},
		{errors.New("a disk is full"), "other"},
	} {
		if got := diagnose(tt.err); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}

// Programs used to ask an error whether it is Temporary, and to try again if so. The method
// is deprecated, because it means nothing that one could rely on: a deadline that expired
// is called temporary, although every further call fails until somebody moves it, and a
// server that is about to restart refuses, which is not. Which errors pass depends on
// what one does: see acceptPasses for Accept, and retry for Write.
func TestTemporaryMisleads(t *testing.T) {
	client, server, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer server.Close()
	if err := client.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	_, expired := client.Read(make([]byte, 1))
	_, refused := net.DialTimeout("tcp", client.LocalAddr().String(), patience)
	for _, tt := range []struct {
		err       error
		what      string
		temporary bool
	}{
		{expired, "timed out", true},
		{refused, "refused", false},
	} {
		if got := diagnose(tt.err); got != tt.what {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.what)
		}
		e, ok := errors.AsType[interface {
			error
			Temporary() bool
		}](tt.err)
		if !ok || e.Temporary() != tt.temporary {
			t.Errorf("%v: Temporary is %v, want %v", tt.err, !tt.temporary, tt.temporary)
		}
	}
	// The one that is called temporary does not pass by itself.
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a further Read: %v, want %v", err, os.ErrDeadlineExceeded)
	}
}
