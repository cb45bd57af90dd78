package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
	"github.com/netparts/netparts/internal/daemon"
)

// A stuckCodec writes when it is told to.
type stuckCodec struct {
	housework.Codec
	writing, goOn chan struct{}
}

func (c *stuckCodec) Flush(w io.Writer, chores []housework.Chore) error {
	close(c.writing)
	<-c.goOn
	return c.Codec.Flush(w, chores)
}

// lock keeps the file from being changed by others until release is called, which adds a
// chore.
func lock(t *testing.T, file string) (release func()) {
	t.Helper()
	codec := &stuckCodec{housework.JSON, make(chan struct{}), make(chan struct{})}
	store, err := housework.OpenFile(file, &housework.FileOptions{Codec: codec})
	if err != nil {
		t.Fatal(err)
	}
	added := make(chan error, 1)
	go func() {
		_, err := store.Add(t.Context(), "", []housework.Chore{{Description: "first"}})
		added <- err
	}()
	<-codec.writing
	return func() {
		close(codec.goOn)
		if err := <-added; err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// openCall begins to add a chore, and returns what is to wait for the answer. The server
// has the call then.
func openCall(t *testing.T, client *housework.Client) grpc.ClientStream {
	t.Helper()
	stream, err := client.Conn().NewStream(t.Context(), &grpc.StreamDesc{}, houseworkv1.RobotMaid_Add_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	chore := &houseworkv1.Chore{}
	chore.SetDescription("a")
	in := &houseworkv1.Chores{}
	in.SetChores([]*houseworkv1.Chore{chore})
	if err := stream.SendMsg(in); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	// What is answered was sent after it, on the same connection.
	if _, err := client.List(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	return stream
}

// untilDeaf waits until nobody listens at the address.
func untilDeaf(t *testing.T, addr string) {
	t.Helper()
	until(t, "the end of listening", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

// A call that is open at the end is answered.
func TestOpenCall(t *testing.T) {
	id, file := selfSigned(t, forServer), filepath.Join(t.TempDir(), "chores.db")
	release := lock(t, file)
	d := startDaemon(t, "-cert", id.cert, "-key", id.key, "-file", file)
	call := openCall(t, connect(t, d.Addr, id.cert, nil))
	ended := make(chan struct{})
	go func() {
		d.End(t)
		close(ended)
	}()
	untilDeaf(t, d.Addr)
	release()
	out := &houseworkv1.Response{}
	if err := call.RecvMsg(out); err != nil || out.GetMessage() != "ok" || out.GetFirstNumber() != 2 {
		t.Errorf("the answer is %v, %v", out, err)
	}
	<-ended
	store, err := housework.OpenFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	wantList(t, store, "first", "a")
}

// A call that takes too long is cut off, and that is no failure.
func TestCallThatTakesTooLong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "chores.db")
	release := lock(t, file)
	defer release()
	store, err := housework.OpenFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &housework.Server{Rosie: &housework.Rosie{Store: store}, Insecure: true}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	client, err := housework.Dial(t.Context(), l.Addr().String(), &housework.ClientOptions{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	call := openCall(t, client)
	if err := stop(server, served, 10*time.Millisecond); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if err := call.RecvMsg(new(houseworkv1.Response)); status.Code(err) != codes.Unavailable {
		t.Errorf("the call ended with %v", err)
	}
}

// The second signal does not wait for a call that is open.
func TestSecondSignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	id, file := selfSigned(t, forServer), filepath.Join(t.TempDir(), "chores.db")
	release := lock(t, file)
	defer release()
	cmd := exec.Command(os.Args[0], "-address", "127.0.0.1:0", "-cert", id.cert, "-key", id.key, "-file", file)
	cmd.Env = append(os.Environ(), "ROSIE_TEST_MAIN=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr := daemon.FirstLine(t, stdout, "tcp")
	openCall(t, connect(t, addr, id.cert, nil))
	begin := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	untilDeaf(t, addr)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// Again and again, as the first of these may come before the program is ready for it.
	until(t, "the end of the program", func() bool {
		select {
		case err = <-ended:
			return true
		default:
			// If it has ended meanwhile there is nobody to signal, and Wait tells how.
			_ = cmd.Process.Signal(syscall.SIGTERM)
			return false
		}
	})
	if err == nil || err.Error() != "signal: terminated" || time.Since(begin) > grace/2 {
		t.Errorf("it ended after %v: %v, stderr %q", time.Since(begin), err, &stderr)
	}
}
