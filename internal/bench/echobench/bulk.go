//go:build linux

package echobench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/internal/bench/load"
)

// bulkCase streams through one connection.
func bulkCase(network string) lab.Case {
	return lab.Case{
		Name: "bulk, " + network,
		About: "Streams through one new connection, with a sender and a receiver side by side, then half-closes it. " +
			"All that comes back is compared with what was sent, up to its end.",
		Sides: append(lab.Sides(lab.Ours, copying, plain), lab.Side{
			Name:   events,
			Cannot: "it closes the connection when the client half-closes it, and drops what is still to be sent",
		}),
		Metrics: lab.Streams.Metrics(),
		Run: func(t *lab.T) {
			c := start(t, lab.Streams, network)
			o := order{Do: doStream, Network: network}
			work := func(server *lab.Process) lab.Done { return ask(c.Client, server, o) }
			o.Bytes = chunk + 1
			c.Each(work) // to warm up
			o.Bytes = lab.Of(t, 256<<20, 1<<20)
			for t.Round() {
				c.Round(work)
			}
		},
	}
}

// chunk is how much a client writes at once.
const chunk = 256 << 10

// streamThrough sends bytes over a connection of its own, and receives them.
func streamThrough(o *order) (lab.Done, error) {
	var d lab.Done
	conn, err := net.Dial(o.Network, o.Addr)
	if err != nil {
		return d, err
	}
	defer conn.Close()
	file := lab.Content(chunk)
	begin := time.Now()
	sent := make(chan error, 1)
	go func() {
		var err error
		for left := o.Bytes; left > 0 && err == nil; left -= chunk {
			_, err = conn.Write(file[:min(left, chunk)])
		}
		sent <- errors.Join(err, conn.(interface{ CloseWrite() error }).CloseWrite())
	}()
	err = receive(conn, file, o.Bytes, &d)
	d.Took = time.Since(begin)
	if err != nil {
		// The sender may wait for a server that waits for this one to read.
		return d, errors.Join(err, conn.Close(), <-sent)
	}
	return d, <-sent
}

// receive reads what repeats the file until so much has come, and then the end.
func receive(conn net.Conn, file []byte, size int, d *lab.Done) error {
	b := make([]byte, len(file))
	for {
		if d.Count%(16<<20) < len(file) { // now and then
			if err := conn.SetReadDeadline(time.Now().Add(load.Patience)); err != nil {
				return err
			}
		}
		at := d.Count % len(file)
		n, err := conn.Read(b[:len(file)-at])
		if !bytes.Equal(b[:n], file[at:at+n]) {
			return errors.New("what came back differs")
		}
		d.Count += n
		switch {
		case err == io.EOF && d.Count == size:
			return nil
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		case err == nil && d.Count > size:
			err = errors.New("more came back than was sent")
		}
		if err != nil {
			return fmt.Errorf("after %d bytes of %d: %w", d.Count, size, err)
		}
	}
}
