//go:build unix

package tlsutil_test

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// withUmask sets the umask of the process for f.
func withUmask(mask int, f func()) {
	defer syscall.Umask(syscall.Umask(mask))
	f()
}

func wantMode(tb testing.TB, name string, want fs.FileMode) {
	tb.Helper()
	info, err := os.Lstat(name)
	noError(tb, err)
	if info.Mode() != want {
		tb.Errorf("%s has mode %v, want %v", filepath.Base(name), info.Mode(), want)
	}
}

func TestModes(t *testing.T) {
	cert := makeSelfSigned(t, localhost)
	for _, mask := range []int{0, 0o022, 0o077, 0o777} {
		t.Run(fmt.Sprintf("%03o", mask), func(t *testing.T) {
			folder := t.TempDir()
			certFile, keyFile := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
			both := filepath.Join(folder, "both.pem")
			for range 2 { // new files, and older ones
				withUmask(mask, func() {
					noError(t, tlsutil.WriteFiles(cert, certFile, keyFile))
					noError(t, tlsutil.WriteFiles(cert, both, both))
				})
				wantMode(t, certFile, 0o644)
				wantMode(t, keyFile, 0o600)
				wantMode(t, both, 0o600)
			}
		})
	}
}

// A link is replaced, and what it led to stays as it was, whether it is there or not.
func TestLinksAreNotFollowed(t *testing.T) {
	cert := makeSelfSigned(t, localhost)
	for _, target := range []string{"file", "none", "folder", "link.pem"} {
		t.Run(target, func(t *testing.T) {
			t.Chdir(t.TempDir())
			noError(t, os.WriteFile("file", []byte("old"), 0o640))
			noError(t, os.Mkdir("folder", 0o700))
			noError(t, os.Symlink(target, "cert.pem"))
			noError(t, os.Symlink(target, "key.pem"))
			certFile, keyFile := writePair(t, ".", cert)
			wantPair(t, cert, certFile, keyFile)
			wantMode(t, certFile, 0o644)
			wantMode(t, keyFile, 0o600)
			wantMode(t, "file", 0o640)
			if got := readText(t, "file"); got != "old" {
				t.Errorf("the file that the links led to holds %q", got)
			}
			wantEntries(t, ".", "cert.pem", "file", "folder", "key.pem")
			wantEntries(t, "folder")
		})
	}
}

// Another name of the old file keeps what it was.
func TestHardLinksAreNotWrittenTo(t *testing.T) {
	t.Chdir(t.TempDir())
	noError(t, os.WriteFile("old", []byte("old"), 0o644))
	noError(t, os.Link("old", "cert.pem"))
	noError(t, os.Link("old", "key.pem"))
	cert := makeSelfSigned(t, localhost)
	certFile, keyFile := writePair(t, ".", cert)
	wantPair(t, cert, certFile, keyFile)
	if got := readText(t, "old"); got != "old" {
		t.Errorf("the other name's file holds %q", got)
	}
}

// As root it would be replaced, as would /dev/null.
func TestWhatIsNoFileIsNotReplaced(t *testing.T) {
	t.Chdir(t.TempDir())
	noError(t, syscall.Mkfifo("fifo", 0o600))
	cert := makeSelfSigned(t, localhost)
	wantError(t, tlsutil.WriteFiles(cert, "fifo", "key.pem"), "fifo is there and is not a regular file")
	wantError(t, tlsutil.WriteFiles(cert, "cert.pem", "fifo"), "fifo is there and is not a regular file")
	wantEntries(t, ".", "fifo")
	wantMode(t, "fifo", 0o600|fs.ModeNamedPipe)
}

// Who reads a file at any moment gets the whole of the old or the new one.
func TestReadersMeanwhile(t *testing.T) {
	folder := t.TempDir()
	certs := []tls.Certificate{makeSelfSigned(t, localhost), makeSelfSigned(t, localhost)}
	certFile, keyFile := writePair(t, folder, certs[0])
	whole := make(map[string]bool)
	for _, cert := range certs {
		certPEM, keyPEM := encoded(t, cert)
		whole[certPEM], whole[keyPEM] = true, true
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, name := range []string{certFile, keyFile} {
		wg.Go(func() {
			for {
				b, err := os.ReadFile(name)
				if err != nil || !whole[string(b)] {
					t.Errorf("read %d bytes of %s, %v", len(b), name, err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range 100 {
		writePair(t, folder, certs[i%2])
	}
	close(done)
	wg.Wait()
}

// Of those who write at once none fails, and what stays is whole.
func TestWritersAtOnce(t *testing.T) {
	folder := t.TempDir()
	whole := make(map[string]bool)
	var wg sync.WaitGroup
	for range 8 {
		cert := makeSelfSigned(t, localhost)
		certPEM, keyPEM := encoded(t, cert)
		whole[certPEM], whole[keyPEM] = true, true
		wg.Go(func() {
			for range 5 {
				err := tlsutil.WriteFiles(cert, filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem"))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantEntries(t, folder, "cert.pem", "key.pem")
	for _, name := range []string{"cert.pem", "key.pem"} {
		if !whole[readText(t, filepath.Join(folder, name))] {
			t.Errorf("%s is not whole", name)
		}
	}
}

// Nobody writes to it, so that to open it would last.
func TestLoadPoolOfAFIFO(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fifo")
	noError(t, syscall.Mkfifo(name, 0o600))
	_, err := tlsutil.LoadPool(name)
	wantError(t, err, name, "not a regular file")
	_, err = tlsutil.LoadPool("/dev/null")
	wantError(t, err, "/dev/null is not a regular file")
	_, err = tlsutil.LoadCA(name, name)
	wantError(t, err, "not a regular file")
}

// To read, links are followed.
func TestLoadPoolOfALink(t *testing.T) {
	name := writeText(t, inPEM(makeCA(t, tlsutil.Authority{}).Certificate.Certificate[0]))
	link := filepath.Join(t.TempDir(), "link")
	noError(t, os.Symlink(name, link))
	_, err := tlsutil.LoadPool(link)
	noError(t, err)
}
