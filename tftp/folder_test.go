package tftp_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/tftp"
)

// servesFolder makes the server of p read from and write to a folder with the files
// "file" and "sub/file".
func (p *path) servesFolder(t *testing.T) (folder *tftp.Folder, dir string) {
	t.Helper()
	root, dir := tree(t)
	folder = tftp.Dir(root)
	p.server.Open, p.server.Create = folder.Open, folder.Create
	return folder, dir
}

// What clients are told of names that cannot be read or written.
func TestCodesForNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("names are others there")
	}
	const none, access, exists = "ERROR 1 file not found", "ERROR 2 access violation", "ERROR 6 file already exists"
	tests := []struct{ request, want string }{
		{rrq("none", ""), none},
		{rrq("none/file", ""), none},
		{rrq("file/x", ""), none},
		{rrq(strings.Repeat("n", 300), ""), none},
		{rrq("sub", ""), access},
		{rrq(".", ""), access},
		{rrq("/", ""), access},
		{rrq("..", ""), access},
		{rrq("../file", ""), access},
		{rrq("/../file", ""), access},
		{rrq("sub/../../file", ""), access},
		{rrq("a\tb", ""), access},
		{rrq("outside", ""), access},
		{rrq("absolute", ""), access},
		{rrq("up/secret", ""), access},
		{rrq("fifo", ""), access},
		{wrq("none/new", ""), none},
		{wrq("file/new", ""), none},
		{wrq("sub", ""), access},
		{wrq("/", ""), access},
		{wrq("../new", ""), access},
		{wrq("a\x1bb", ""), access},
		{wrq("up/new", ""), access},
		{wrq("file", ""), exists},
		{wrq("/sub/../file", ""), exists},
		{wrq("outside", ""), exists},
		{wrq("fifo", ""), exists},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%.20q", tt.request), func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				_, dir := p.servesFolder(t)
				makeFIFO(t, filepath.Join(dir, "fifo"))
				before := names(t, dir)
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request(tt.request)
					if got := g.next(time.Second); got != tt.want {
						t.Errorf("received %q, want %q", got, tt.want)
					}
				})
				if after := names(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
					t.Errorf("the folder has %q, had %q", after, before)
				}
			})
		})
	}
}

// A device is not opened, and not waited for, though root could.
func TestRootDeviceIsRefused(t *testing.T) {
	interop.Root(t)
	mknod := interop.Command(t, "mknod", "coreutils")
	root, dir := tree(t)
	for name, args := range map[string][]string{"zero": {"c", "1", "5"}, "tty": {"c", "5", "0"}, "ram": {"b", "1", "0"}} {
		device := filepath.Join(dir, name)
		if out, err := exec.CommandContext(t.Context(), mknod, append([]string{device}, args...)...).CombinedOutput(); err != nil {
			t.Skipf("mknod: %v: %s", err, out) // as in a container without the right
		}
		for what, open := range map[string]func(context.Context, *tftp.Request) (io.ReadCloser, error){
			"Folder": tftp.Dir(root).Open, "FS": tftp.FS(root.FS()),
		} {
			if _, err := open(t.Context(), &tftp.Request{Name: name}); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s: %s: %v, want %v", what, name, err, fs.ErrPermission)
			}
		}
	}
}

// An FS that is not of the system is read alike, with its size.
func TestFSOverTheWire(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.server.Open = tftp.FS(fstest.MapFS{"sub/file": {Data: bytes.Repeat([]byte("x"), 600)}})
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(rrq("//sub/./file", "tsize 0"))
			g.expect("OACK [{tsize 600}]")
			g.ack(0)
			if got := g.payload(1) + g.payload(2); got != strings.Repeat("x", 600) {
				t.Errorf("read %d bytes, %.9q", len(got), got)
			}
		})
		p.noFailures(t)
	})
}

// An upload is invisible until the last ACK, and a file as others make it then.
func TestUploadAppearsWhole(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		_, dir := p.servesFolder(t)
		usual := filepath.Join(dir, "usual")
		if err := os.WriteFile(usual, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, "sub", "new")
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(wrq("/sub/new", ""))
			g.expect("ACK 0")
			g.send(data(1, 512))
			g.expect("ACK 1")
			if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("in the middle: %v, want %v", err, fs.ErrNotExist)
			}
			if got := names(t, filepath.Join(dir, "sub")); len(got) != 2 || !strings.HasPrefix(got[0], ".tftp-") {
				t.Errorf("in the middle there are %q", got)
			}
			g.send(data(2, 1))
			g.expect("ACK 2")
			if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, append(data(1, 512).Payload, 2)) {
				t.Errorf("stored %d bytes, %v", len(got), err)
			}
		})
		if got := fmt.Sprint(names(t, filepath.Join(dir, "sub"))); got != "[file new]" {
			t.Errorf("afterwards there are %s", got)
		}
		want, err := os.Stat(usual)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.Stat(name); err != nil || got.Mode() != want.Mode() {
			t.Errorf("mode %v, %v, want %v", got.Mode(), err, want.Mode())
		}
	})
}

// Of two uploads of one name the first that is whole wins, and the other client is
// told; with Overwrite the last one does.
func TestTwoUploadsOfOneName(t *testing.T) {
	for _, overwrite := range []bool{false, true} {
		withServer(t, func(t *testing.T, p *path) {
			folder, dir := p.servesFolder(t)
			folder.Overwrite = overwrite
			p.serve(t, func() {
				one, two := p.guest(t, 2000), p.guest(t, 2001)
				for _, g := range []*guest{one, two} {
					g.request(wrq("new", ""))
					g.expect("ACK 0")
				}
				two.send(data(1, 2))
				two.expect("ACK 1")
				one.send(data(1, 1))
				if overwrite {
					one.expect("ACK 1")
				} else {
					one.expect("ERROR 6 file already exists")
				}
			})
			want := 2
			if overwrite {
				want = 1
			}
			if got, err := os.ReadFile(filepath.Join(dir, "new")); err != nil || len(got) != want {
				t.Errorf("stored %d bytes, %v, want %d", len(got), err, want)
			}
			for _, name := range names(t, dir) {
				if strings.HasPrefix(name, ".tftp-") {
					t.Errorf("%s is left", name)
				}
			}
		})
	}
}

// An upload that replaces a file does so in one step: who reads has the old one or the
// new one.
func TestOverwriteIsOneStep(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		folder, dir := p.servesFolder(t)
		folder.Overwrite = true
		name := filepath.Join(dir, "file")
		if err := os.WriteFile(name, bytes.Repeat([]byte("o"), 600), 0o600); err != nil {
			t.Fatal(err)
		}
		p.serve(t, func() {
			reader, writer := p.guest(t, 2000), p.guest(t, 2001)
			reader.request(read)
			got := reader.payload(1)
			writer.request(write)
			writer.expect("ACK 0")
			writer.upload(strings.Repeat("n", 700), 512)
			if got += reader.payload(2); got != strings.Repeat("o", 600) {
				t.Errorf("the reader got %d bytes, %.8q to %.8q", len(got), got, got[max(0, len(got)-8):])
			}
			reader = p.guest(t, 2002)
			reader.request(read)
			if got := reader.payload(1) + reader.payload(2); got != strings.Repeat("n", 700) {
				t.Errorf("the next reader got %d bytes, %.8q", len(got), got)
			}
		})
	})
}

// smallDisk returns a folder on a disk of 64 KiB, which is gone with it. Nobody else
// sees it, since it is mounted in a namespace of its own, that a process holds only
// until the folder is open.
func smallDisk(t *testing.T) *os.Root {
	t.Helper()
	interop.Root(t)
	unshare := interop.Command(t, "unshare", "util-linux")
	dir := t.TempDir()
	script := `mount -t tmpfs -o size=64k tmpfs "$0" && echo mounted && read -r _`
	cmd := exec.CommandContext(t.Context(), unshare, "--mount", "sh", "-c", script, dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Skipf("no mount here: %v: %v", err, cmd.Wait())
	}
	if line != "mounted\n" {
		t.Fatalf("unshare said %q", line)
	}
	root, err := os.OpenRoot(fmt.Sprintf("/proc/%d/root%s", cmd.Process.Pid, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := io.WriteString(in, "done\n"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return root
}

// A full disk is told as such, and nothing is left of the upload.
func TestRootFullDisk(t *testing.T) {
	root := smallDisk(t)
	withServer(t, func(t *testing.T, p *path) {
		p.server.Create = tftp.Dir(root).Create
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(wrq("large", "blksize 8192"))
			g.expect("OACK [{blksize 8192}]")
			for block := uint16(1); block <= 8; block++ {
				g.send(data(block, 8192))
				g.expect(fmt.Sprint("ACK ", block))
			}
			// The ACK of a block leaves before the block is written.
			g.send(data(9, 8192))
			got := g.next(time.Second)
			if got == "ACK 9" {
				got = g.next(time.Second)
			}
			if want := "ERROR 3 disk full or allocation exceeded"; got != want {
				t.Errorf("received %q, want %q", got, want)
			}
		})
		list, err := fs.ReadDir(root.FS(), ".")
		if err != nil || len(list) != 0 {
			t.Errorf("left behind %v, %v", list, err)
		}
	})
}
