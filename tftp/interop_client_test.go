package tftp_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/tftp"
)

// A job is one transfer of a real client.
type job struct {
	server        netip.AddrPort
	put, netascii bool
	remote, local string
	options       []string // in the words of the client
}

// A realClient is a program that reads and writes files.
type realClient struct {
	program, debianPackage string
	args                   func(j job) []string
}

var realClients = map[string]realClient{
	"tftp-hpa": {"tftp", "tftp-hpa", func(j job) []string {
		args := []string{"-m", "octet", j.server.Addr().String(), port(j), "-c"}
		if j.netascii {
			args[1] = "netascii"
		}
		if j.put {
			return append(args, "put", j.local, j.remote)
		}
		return append(args, "get", j.remote, j.local)
	}},
	"atftp": {"atftp", "atftp", func(j job) []string {
		var args []string
		if j.netascii {
			args = append(args, "--option", "mode netascii")
		}
		for _, o := range j.options {
			args = append(args, "--option", o)
		}
		return append(args, getOrPut(j), "-r", j.remote, "-l", j.local, j.server.Addr().String(), port(j))
	}},
	"curl": {"curl", "curl", func(j job) []string {
		url := "tftp://" + j.server.String() + "/" + j.remote
		if j.netascii {
			url += ";mode=netascii"
		}
		args := append([]string{"--silent", "--show-error", "--max-time", "100"}, j.options...)
		if j.put {
			return append(args, "--upload-file", j.local, url)
		}
		return append(args, "--output", j.local, url)
	}},
	"busybox": {"busybox", "busybox", func(j job) []string {
		args := append([]string{"tftp", getOrPut(j), "-r", j.remote, "-l", j.local}, j.options...)
		return append(args, j.server.Addr().String(), port(j))
	}},
}

func port(j job) string { return strconv.Itoa(int(j.server.Port())) }

func getOrPut(j job) string {
	if j.put {
		return "-p"
	}
	return "-g"
}

// find makes sure that the program is there.
func (c realClient) find(t *testing.T) {
	t.Helper()
	interop.Command(t, c.program, c.debianPackage)
}

// run runs the program. Some end with success whatever happens, so that the file
// must be looked at as well.
func (c realClient) run(ctx context.Context, j job) error {
	cmd := exec.CommandContext(ctx, c.program, c.args(j)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w, %s", cmd.Args, err, out)
	}
	return nil
}

// same compares a file with what it should hold.
func same(name string, want []byte) error {
	got, err := os.ReadFile(name)
	if err == nil && (len(got) != len(want) || sha256.Sum256(got) != sha256.Sum256(want)) {
		err = fmt.Errorf("%s has %d bytes, want others, %d bytes", filepath.Base(name), len(got), len(want))
	}
	return err
}

// An ourServer serves a folder and takes uploads to it.
type ourServer struct {
	addr    netip.AddrPort
	folder  string
	reports chan tftp.Transfer
}

func startOurServer(t *testing.T) *ourServer {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &ourServer{addr: localAddr(conn), folder: t.TempDir(), reports: make(chan tftp.Transfer, 1000)}
	root, err := os.OpenRoot(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	folder := tftp.Dir(root)
	folder.Overwrite = true
	server := &tftp.Server{Open: folder.Open, Create: folder.Create, Report: func(r tftp.Transfer) { s.reports <- r }}
	served := make(chan error, 1)
	go func() { served <- server.Serve(conn) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), server.Shutdown(context.Background()), root.Close()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != tftp.ErrServerClosed {
			t.Errorf("Serve: %v, want %v", err, tftp.ErrServerClosed)
		}
	})
	return s
}

// report returns how the last transfer ended.
func (s *ourServer) report(ctx context.Context) (tftp.Transfer, error) {
	select {
	case r := <-s.reports:
		return r, r.Err
	case <-ctx.Done():
		return tftp.Transfer{}, ctx.Err()
	}
}

// sizes are those around a block of 512 bytes, and a larger one.
var sizes = []int{0, 1, 511, 512, 513, 1024, 1 << 20}

const (
	manySmall = 65537*8 + 3   // more blocks of 8 bytes than there are numbers
	manyPlain = 65537*512 + 3 // more blocks of 512 bytes
)

// Real clients read from our server and write to it, with each of their options.
func TestInteropClients(t *testing.T) {
	interop.Slow(t)
	for _, tt := range []struct {
		client  string
		options []string
		sizes   []int // those above, if nil
		block   int
		window  int
		timeout time.Duration
	}{
		{client: "tftp-hpa"}, // which knows no options
		{client: "tftp-hpa", sizes: []int{manyPlain}},
		{client: "atftp"},
		{client: "atftp", options: []string{"blksize 8"}, sizes: []int{manySmall}, block: 8},
		{client: "atftp", options: []string{"blksize 1428"}, block: 1428},
		{client: "atftp", options: []string{"blksize 65464"}, block: 65464},
		{client: "atftp", options: []string{"timeout 3", "tsize"}, timeout: 3 * time.Second},
		{client: "atftp", options: []string{"windowsize 8"}, window: 8},
		{client: "atftp", options: []string{"windowsize 16", "blksize 1428", "tsize", "timeout 9"}, block: 1428, window: 16, timeout: 9 * time.Second},
		{client: "curl", options: []string{"--tftp-no-options"}},
		// By default it asks for the size, and cannot take "tsize 0" for an answer.
		{client: "curl", sizes: sizes[1:]},
		{client: "curl", options: []string{"--tftp-blksize", "8"}, sizes: []int{manySmall}, block: 8},
		{client: "curl", options: []string{"--tftp-blksize", "1428"}, sizes: sizes[1:], block: 1428},
		{client: "curl", options: []string{"--tftp-blksize", "65464"}, sizes: sizes[1:], block: 65464},
		{client: "busybox"},
		{client: "busybox", sizes: []int{manyPlain}},
		{client: "busybox", options: []string{"-b", "1428"}, block: 1428},
		{client: "busybox", options: []string{"-b", "65464"}, block: 65464},
	} {
		t.Run(strings.Join(append([]string{tt.client}, tt.options...), " "), func(t *testing.T) {
			t.Parallel()
			c := realClients[tt.client]
			c.find(t)
			want := tftp.Stats{BlockSize: tt.block, WindowSize: max(tt.window, 1), Timeout: tt.timeout}
			if tt.block == 0 {
				want.BlockSize = 512
			}
			if tt.sizes == nil {
				tt.sizes = sizes
			}
			server, here := startOurServer(t), t.TempDir()
			for _, size := range tt.sizes {
				for _, put := range []bool{false, true} {
					j := job{server: server.addr, put: put, options: tt.options}
					checkClient(t, c, server, here, j, random(size), want)
				}
			}
		})
	}
}

// checkClient has a real client read or write file, and looks at the result on
// both sides.
func checkClient(t *testing.T, c realClient, s *ourServer, here string, j job, file []byte, want tftp.Stats) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	name := fmt.Sprintf("file-%d-%v", len(file), j.put)
	there := filepath.Join(s.folder, name)
	j.remote, j.local = name, filepath.Join(here, name)
	from, to := there, j.local
	if j.put {
		from, to = to, from
	}
	if err := os.WriteFile(from, file, 0o600); err != nil {
		t.Fatal(err)
	}
	ended := c.run(ctx, j)
	r, err := s.report(ctx)
	if err := errors.Join(ended, err, same(to, file)); err != nil {
		t.Errorf("%d bytes, put %v: %v", len(file), j.put, err)
	}
	if r.BlockSize != want.BlockSize || r.WindowSize != want.WindowSize || want.Timeout != 0 && r.Timeout != want.Timeout ||
		r.Write != j.put || r.Bytes != int64(len(file)) {
		t.Errorf("%d bytes, put %v: report %+v, want %+v", len(file), j.put, r, want)
	}
}

// text has all that netascii changes, and netascii what goes over the wire.
const (
	text     = "line\nCR LF\r\nCR\rNUL\x00CR NUL\r\x00\r\r\n\n"
	netascii = "line\r\nCR LF\r\x00\r\nCR\r\x00NUL\x00CR NUL\r\x00\x00\r\x00\r\x00\r\n\r\n"
)

// longText has CR and LF at every place of a block.
func longText() []byte { return []byte(strings.Repeat(text, 1000)) }

func TestInteropClientsNetascii(t *testing.T) {
	interop.Slow(t)
	for _, tt := range []struct {
		client   string
		got, put bool // whether it translates what it reads, and writes at all
	}{
		{"tftp-hpa", true, true},
		{"atftp", true, true},
		{"curl", false, false}, // it only says the mode, and hands over what is on the wire
	} {
		t.Run(tt.client, func(t *testing.T) {
			t.Parallel()
			c := realClients[tt.client]
			c.find(t)
			s, here := startOurServer(t), t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			if err := os.WriteFile(filepath.Join(s.folder, "text"), longText(), 0o600); err != nil {
				t.Fatal(err)
			}
			want := longText()
			if !tt.got {
				want = bytes.Repeat([]byte(netascii), 1000)
			}
			j := job{server: s.addr, netascii: true, remote: "text", local: filepath.Join(here, "text")}
			ended := c.run(ctx, j)
			_, err := s.report(ctx)
			if err := errors.Join(ended, err, same(j.local, want)); err != nil {
				t.Errorf("get: %v", err)
			}
			if !tt.put {
				return
			}
			j.put, j.remote = true, "upload"
			ended = c.run(ctx, j)
			_, err = s.report(ctx)
			if err := errors.Join(ended, err, same(filepath.Join(s.folder, "upload"), want)); err != nil {
				t.Errorf("put: %v", err)
			}
		})
	}
}
