package echo_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/echo"
)

// A records is a client of the network unixpacket that can tell an empty record
// from the end.
type records struct {
	*net.UnixConn
	raw syscall.RawConn
}

func dialRecords(t testing.TB, addr net.Addr) *records {
	t.Helper()
	conn := dial(t, "unixpacket", addr).(*net.UnixConn)
	raw, err := conn.SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1)
	}))
	must(t, err)
	return &records{conn, raw}
}

// listenRecords makes server listen, and returns a client.
func listenRecords(t testing.TB, server *echo.Server) (net.Addr, *records) {
	t.Helper()
	addr := listen(t, server, "unixpacket")
	return addr, dialRecords(t, addr)
}

// send sends a record, and waits for room also if it is an empty one.
func (r *records) send(record []byte) error {
	var sendErr error
	err := r.raw.Write(func(fd uintptr) bool {
		_, sendErr = syscall.SendmsgN(int(fd), record, nil, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		return sendErr != syscall.EAGAIN
	})
	return errors.Join(err, sendErr)
}

// receive returns the next record, or EOF at the end. It asks for the end twice,
// because the kernel may tell it before a record that was sent just before it.
func (r *records) receive(b []byte) (int, error) {
	control := make([]byte, 64)
	n, controls, _, _, err := r.ReadMsgUnix(b, control)
	if errors.Is(err, io.EOF) && controls == 0 {
		n, controls, _, _, err = r.ReadMsgUnix(b, control)
	}
	switch {
	case errors.Is(err, io.EOF) && controls > 0:
		return 0, nil
	case errors.Is(err, io.EOF):
		return 0, io.EOF
	}
	return n, err
}

// wantRecord reads one record.
func (r *records) wantRecord(t testing.TB, record []byte) {
	t.Helper()
	b := make([]byte, 1<<20)
	n, err := r.receive(b)
	if err != nil || !bytes.Equal(b[:n], record) {
		t.Fatalf("record of %d bytes %.40q, %v, want %d bytes %.40q", n, b[:n], err, len(record), record)
	}
}

// wantEnd reads the end.
func (r *records) wantEnd(t testing.TB) {
	t.Helper()
	if n, err := r.receive(make([]byte, 100)); n != 0 || err != io.EOF {
		t.Fatalf("record of %d bytes, %v, want the end", n, err)
	}
}

// Records keep their boundaries, and an empty one is not the end. The half-close
// is, of a client as of the server.
func TestRecords(t *testing.T) {
	var log journal
	server := echo.Server{Logger: slog.New(&log)}
	_, conn := listenRecords(t, &server)
	sizes := []int{0, 4, 0, 0, 1, 1024, 1025, 16 << 10, 16<<10 + 1, 65536, 0}
	total := 0
	for _, n := range sizes {
		must(t, conn.send(pattern(n)))
		conn.wantRecord(t, pattern(n))
		total += n
	}
	for range 5 { // and all at once
		for _, n := range []int{0, 1, 2, 0, 3, 100, 1000} {
			must(t, conn.send(pattern(n)))
			total += n
		}
	}
	must(t, conn.send(nil))
	must(t, conn.CloseWrite())
	for range 5 {
		for _, n := range []int{0, 1, 2, 0, 3, 100, 1000} {
			conn.wantRecord(t, pattern(n))
		}
	}
	conn.wantRecord(t, nil)
	conn.wantEnd(t)
	shutDown(t, &server)
	if records := log.all(); len(records) != 1 || records[0]["bytes"] != int64(total) || records[0]["error"] != nil {
		t.Errorf("logged %v", records)
	}
}

func TestLargeRecords(t *testing.T) {
	var server echo.Server
	_, conn := listenRecords(t, &server)
	must(t, conn.SetWriteBuffer(512<<10)) // for the last one
	for _, n := range []int{150_000, 200_000, 0, 200_000, 400_000} {
		must(t, conn.send(pattern(n)))
		conn.wantRecord(t, pattern(n))
	}
}

// A client that closes, rather than half-closes, ends its own connection.
func TestClosedRecords(t *testing.T) {
	var log journal
	server := echo.Server{Logger: slog.New(&log)}
	addr, other := listenRecords(t, &server)
	for range 5 {
		conn := dialRecords(t, addr)
		must(t, conn.send([]byte("ping")))
		conn.wantRecord(t, []byte("ping"))
		must(t, conn.Close())
	}
	must(t, other.send([]byte("ping")))
	other.wantRecord(t, []byte("ping"))
	shutDown(t, &server)
	other.wantEnd(t)
	if n := len(log.all()); n != 6 {
		t.Errorf("%d records in the log, want 6", n)
	}
}

// sendUntilFull sends records until the server takes no more, because its own
// room is full, and returns how many it took.
func (r *records) sendUntilFull(t testing.TB, record []byte) int {
	t.Helper()
	for n := range 100_000 {
		// The server is slower than this, but not as slow.
		must(t, r.SetWriteDeadline(time.Now().Add(200*time.Millisecond)))
		err := r.send(record)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return n
		}
		must(t, err)
	}
	t.Fatal("the server never stops taking records")
	return 0
}

// The server waits for a client that does not read, with empty records as with
// others, and the client gets them all in the end.
func TestUnreadRecords(t *testing.T) {
	for _, size := range []int{0, 1, 100_000} {
		var server echo.Server
		addr, conn := listenRecords(t, &server)
		n := conn.sendUntilFull(t, pattern(size))
		other := dialRecords(t, addr)
		must(t, other.send([]byte("meanwhile")))
		other.wantRecord(t, []byte("meanwhile"))
		b := make([]byte, size+1)
		for i := range n {
			if got, err := conn.receive(b); got != size || err != nil {
				t.Fatalf("record %d of %d has %d bytes, %v, want %d", i, n, got, err, size)
			}
		}
	}
}

// What is longer than the limit ends the connection with a word in the log.
func TestTooLargeRecord(t *testing.T) {
	var log journal
	server := echo.Server{Logger: slog.New(&log)}
	_, conn := listenRecords(t, &server)
	must(t, conn.SetWriteBuffer(4<<20))
	if err := conn.send(pattern(512<<10 + 1)); err != nil {
		t.Skipf("the system does not send that much: %v", err)
	}
	conn.wantEnd(t)
	shutDown(t, &server)
	if text, _ := log.all()[0]["error"].(string); !strings.Contains(text, "524288 bytes") {
		t.Errorf("logged %v", log.all())
	}
}

// openFiles counts the descriptors of this process.
func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

// Descriptors that a client passes are not kept, wherever it passes them.
func TestPassedDescriptors(t *testing.T) {
	file, err := os.Open(os.DevNull)
	must(t, err)
	defer file.Close()
	rights := syscall.UnixRights(int(file.Fd()), int(file.Fd()), int(file.Fd()))
	for _, network := range []string{"unix", "unixpacket", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			var server echo.Server
			var conn *net.UnixConn
			var to *net.UnixAddr
			if network == "unixgram" {
				to = listenPacket(t, &server, network, socketPath(t)).(*net.UnixAddr)
				conn = bindUnixgram(t, socketPath(t))
			} else {
				conn = dial(t, network, listen(t, &server, network)).(*net.UnixConn)
				wantEcho(t, conn, "ping") // it has been accepted
			}
			before := openFiles(t)
			for range 50 {
				_, _, err := conn.WriteMsgUnix([]byte("take these"), rights, to)
				must(t, err)
				wantPacketRead(t, conn, "take these")
			}
			if after := openFiles(t); after > before {
				t.Errorf("%d descriptors are open, %d before", after, before)
			}
		})
	}
}

// Shutdown closes what is idle, and echoes what has arrived.
func TestShutdownOfRecords(t *testing.T) {
	var server echo.Server
	addr, idle := listenRecords(t, &server)
	busy := dialRecords(t, addr)
	for range 100 {
		must(t, busy.send([]byte("ping")))
	}
	must(t, busy.send(nil))
	must(t, idle.send([]byte("ping"))) // both have been accepted
	idle.wantRecord(t, []byte("ping"))
	busy.wantRecord(t, []byte("ping"))
	shutDown(t, &server)
	for range 99 {
		busy.wantRecord(t, []byte("ping"))
	}
	busy.wantRecord(t, nil)
	busy.wantEnd(t)
	idle.wantEnd(t)
}
