package sockets_test

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// patience is how long a lesson waits for what comes at once, unless something is wrong.
// No time-out at all would turn a fault into a program that hangs.
const patience = 30 * time.Second

// loopback is the address to listen on in a lesson: only this machine reaches it, and the
// system picks a port that is free.
var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// pair returns the two ends of a TCP connection on this machine. Dial returns although
// nobody has called Accept yet: the kernel shakes hands by itself, and keeps the connection
// for the Accept to come.
func pair() (client, server *net.TCPConn, err error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(loopback))
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if err := l.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, nil, err
	}
	client, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		return nil, nil, err
	}
	server, err = l.AcceptTCP()
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	deadline := time.Now().Add(patience)
	if err := errors.Join(client.SetDeadline(deadline), server.SetDeadline(deadline)); err != nil {
		return nil, nil, errors.Join(err, client.Close(), server.Close())
	}
	return client, server, nil
}
