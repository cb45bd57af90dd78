package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"

	"github.com/netparts/netparts/tftp"
)

// A server offers the files of a folder, and a client reads one of them. A
// program that is a server only calls ListenAndServe("udp", ":69") instead.
func Example() {
	dir, err := os.MkdirTemp("", "tftp")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "motd"), []byte("Errors are values.\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer root.Close()

	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &tftp.Server{Open: tftp.Dir(root).Open}
	go server.Serve(conn)
	defer server.Close()

	client := &tftp.Client{Addr: conn.LocalAddr().String()}
	if _, err := client.Get(context.Background(), "motd", os.Stdout); err != nil {
		log.Fatal(err)
	}
	_, err = client.Get(context.Background(), "../motd", os.Stdout)
	fmt.Println(err)
	// Output:
	// Errors are values.
	// tftp: access violation
}

// The server of a boot loader that asks for whatever name gets one image.
func ExamplePayload() {
	server := &tftp.Server{Open: tftp.Payload([]byte("an image"))}
	addr, stop := start(server)
	defer stop()

	var image bytes.Buffer
	client := &tftp.Client{Addr: addr}
	if _, err := client.Get(context.Background(), "any/name", &image); err != nil {
		log.Fatal(err)
	}
	fmt.Println(image.String())
	// Output: an image
}

// Any fs.FS can be served: files that are embedded, a zip archive, or as here a map.
func ExampleFS() {
	files := fstest.MapFS{"boot/grub.cfg": {Data: []byte("timeout=5\n")}}
	server := &tftp.Server{Open: tftp.FS(files)}
	addr, stop := start(server)
	defer stop()

	client := &tftp.Client{Addr: addr}
	if _, err := client.Get(context.Background(), "/boot/grub.cfg", os.Stdout); err != nil {
		log.Fatal(err)
	}
	_, err := client.Get(context.Background(), "boot/menu", io.Discard)
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output:
	// timeout=5
	// true
}

// Uploads are off until Create is set. A hook of one's own decides who may write
// what, and leaves the rest to the Folder.
func ExampleDir() {
	dir, err := os.MkdirTemp("", "tftp")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer root.Close()

	folder := tftp.Dir(root)
	server := &tftp.Server{
		Create: func(ctx context.Context, r *tftp.Request) (tftp.Upload, error) {
			if !strings.HasSuffix(r.Name, ".cfg") {
				return nil, &tftp.Error{Code: tftp.CodeAccess, Message: "only configurations"}
			}
			return folder.Create(ctx, r)
		},
	}
	addr, stop := start(server)
	defer stop()

	client := &tftp.Client{Addr: addr}
	if _, err := client.Put(context.Background(), "router.cfg", strings.NewReader("hostname r1\n")); err != nil {
		log.Fatal(err)
	}
	_, err = client.Put(context.Background(), "a.out", strings.NewReader(""))
	fmt.Println(err)

	stored, err := os.ReadFile(filepath.Join(dir, "router.cfg"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", stored)
	// Output:
	// tftp: access violation: "only configurations"
	// hostname r1
}

// Get tells what the two sides agreed on, and Progress how far it is.
func ExampleClient() {
	server := &tftp.Server{Open: tftp.Payload(make([]byte, 100_000))}
	addr, stop := start(server)
	defer stop()

	quarter := int64(1)
	client := &tftp.Client{
		Addr:       addr,
		BlockSize:  1000,
		WindowSize: 8,
		Progress: func(s tftp.Stats) {
			for s.Bytes*4 >= quarter*s.Size && quarter <= 4 {
				fmt.Printf("%d %%\n", 25*quarter)
				quarter++
			}
		},
	}
	stats, err := client.Get(context.Background(), "file", io.Discard)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stats.Bytes, "bytes in", stats.Blocks, "blocks")
	// Output:
	// 25 %
	// 50 %
	// 75 %
	// 100 %
	// 100000 bytes in 101 blocks
}

// The file goes to any io.Writer. A hash needs no memory for it.
func ExampleClient_Get() {
	addr, stop := start(&tftp.Server{Open: tftp.Payload([]byte("Don't panic.\n"))})
	defer stop()

	client := &tftp.Client{Addr: addr}
	stats, err := client.Get(context.Background(), "proverb", os.Stdout)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stats.Bytes, "bytes")
	// Output:
	// Don't panic.
	// 13 bytes
}

// The file comes from any io.Reader. The server knows of success only when the
// upload is stored.
func ExampleClient_Put() {
	uploads := make(chan tftp.Transfer, 1)
	var stored memoryUpload
	addr, stop := start(&tftp.Server{
		Create: func(context.Context, *tftp.Request) (tftp.Upload, error) { return &stored, nil },
		Report: func(t tftp.Transfer) { uploads <- t },
	})
	defer stop()

	client := &tftp.Client{Addr: addr}
	if _, err := client.Put(context.Background(), "notes", strings.NewReader("Clear is better than clever.\n")); err != nil {
		log.Fatal(err)
	}
	t := <-uploads
	fmt.Printf("%s: %d bytes: %s", t.Request.Name, t.Bytes, stored.String())
	// Output: notes: 29 bytes: Clear is better than clever.
}

// A memoryUpload keeps a file in memory.
type memoryUpload struct{ bytes.Buffer }

func (*memoryUpload) Commit() error { return nil }
func (*memoryUpload) Abort(error)   {}

// Shutdown lets the transfers end that run.
func ExampleServer_Shutdown() {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &tftp.Server{Open: tftp.Payload(nil)}
	served := make(chan error)
	go func() { served <- server.Serve(conn) }()

	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-served)
	// Output: tftp: server closed
}

// A program that looks at traffic tells the packets apart by their types.
func ExampleParse() {
	for _, b := range [][]byte{
		[]byte("\x00\x01pxelinux.0\x00octet\x00tsize\x000\x00"),
		[]byte("\x00\x03\x00\x01data"),
		[]byte("\x00\x05\x00\x01not here\x00"),
		[]byte("\x00\x09"),
	} {
		switch p, err := tftp.Parse(b); p := p.(type) {
		case *tftp.ReadReq:
			fmt.Println("read", p.Name, p.Mode, p.Options)
		case *tftp.Data:
			fmt.Printf("block %d: %q\n", p.Block, p.Payload)
		case *tftp.Error:
			fmt.Println(p)
		default:
			fmt.Println(err)
		}
	}
	// Output:
	// read pxelinux.0 octet [{tsize 0}]
	// block 1: "data"
	// tftp: file not found: "not here"
	// tftp: malformed packet: opcode 9
}

// start serves on a free port of this host until stop is called.
func start(server *tftp.Server) (addr string, stop func()) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(conn) }()
	return conn.LocalAddr().String(), func() {
		if err := server.Close(); err != nil {
			log.Fatal(err)
		}
		<-served
	}
}
