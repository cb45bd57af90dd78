//go:build unix

package tlsutil_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/tlsutil"
)

// Files that cannot be read, or would never end, are as any other fault. The
// superuser may read all.
func TestUnusableFileOfUnix(t *testing.T) {
	list := []fault{
		{"FIFO", func(t *testing.T, name string, _ []byte) {
			noError(t, os.Remove(name))
			noError(t, syscall.Mkfifo(name, 0o600))
		}, "not a regular file"},
		{"device", func(t *testing.T, name string, _ []byte) {
			noError(t, os.Remove(name))
			noError(t, os.Symlink("/dev/zero", name))
		}, "not a regular file"},
		{"link to itself", func(t *testing.T, name string, _ []byte) {
			noError(t, os.Remove(name))
			noError(t, os.Symlink(name, name))
		}, syscall.ELOOP.Error()},
		{"dangling link", func(t *testing.T, name string, _ []byte) {
			noError(t, os.Remove(name))
			noError(t, os.Symlink("nowhere", name))
		}, syscall.ENOENT.Error()},
	}
	if os.Geteuid() != 0 {
		list = append(list, fault{"unreadable", func(t *testing.T, name string, _ []byte) {
			noError(t, os.Chmod(name, 0))
		}, syscall.EACCES.Error()})
	}
	testFaults(t, list)
}

var folders atomic.Int64

// writeFolder writes a new folder beside the files, with files of the same names, and
// returns its name.
func writeFolder(t *testing.T, f tlsutil.Files, g generation) string {
	t.Helper()
	dir := "..folder" + strconv.FormatInt(folders.Add(1), 10)
	path := filepath.Join(filepath.Dir(f.Cert), dir)
	noError(t, os.Mkdir(path, 0o700))
	g.each(f, func(name string, data []byte) { overwrite(t, filepath.Join(path, filepath.Base(name)), data) })
	return dir
}

// link makes a symbolic link, in the place of what has that name.
func link(t *testing.T, to, name string) {
	t.Helper()
	noError(t, os.Symlink(to, name+".new"))
	noError(t, os.Rename(name+".new", name))
}

// swapData replaces files as Kubernetes does those of a volume: they are links to
// ..data/NAME, ..data is a link to a folder, and that link is swapped.
func swapData(t *testing.T, f tlsutil.Files, g generation, pause func()) {
	t.Helper()
	data := filepath.Join(filepath.Dir(f.Cert), "..data")
	old, err := os.Readlink(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	dir := writeFolder(t, f, g)
	pause()
	link(t, dir, data)
	pause()
	if old != "" {
		noError(t, os.RemoveAll(filepath.Join(filepath.Dir(f.Cert), old)))
		return
	}
	g.each(f, func(name string, _ []byte) { link(t, filepath.Join("..data", filepath.Base(name)), name) })
}

func TestRotationByLinks(t *testing.T) {
	testRotations(t, []rotation{
		{"links", func(t *testing.T, f tlsutil.Files, g generation, pause func()) {
			dir := writeFolder(t, f, g)
			g.each(f, func(name string, _ []byte) {
				link(t, filepath.Join(dir, filepath.Base(name)), name)
				pause()
			})
		}, false},
		{"..data", swapData, true},
	})
}

// A reading that has begun in one folder and ended in another is never used. The
// folders that were left stay here: a reader must not learn it from a missing file.
func TestReadingDuringASwap(t *testing.T) {
	swap := func(f tlsutil.Files, g generation) {
		link(t, writeFolder(t, f, g), filepath.Join(filepath.Dir(f.Cert), "..data"))
		if _, err := os.Lstat(f.Cert); err != nil {
			g.each(f, func(name string, _ []byte) { link(t, filepath.Join("..data", filepath.Base(name)), name) })
		}
	}
	peer := newPeer(t)
	var generations []generation
	for i := range 20 {
		generations = append(generations, peer.generation(t, fmt.Sprint("generation ", i)))
	}
	f := tlsutil.Files{Cert: "cert.pem", Key: "key.pem", Roots: "roots.pem", Interval: time.Millisecond}
	dir := t.TempDir()
	for _, name := range []*string{&f.Cert, &f.Key, &f.Roots} {
		*name = filepath.Join(dir, *name)
	}
	swap(f, generations[0])
	var told reports
	f.OnReload = told.add
	w := watchFiles(t, f)
	for round := range 300 {
		g := generations[(round+1)%len(generations)]
		reloaded := make(chan error)
		go func() { reloaded <- w.Reload() }()
		swap(f, g)
		// Read while it was swapped: either set will do.
		noError(t, <-reloaded)
		wantOneGeneration(t, w, generations)
		noError(t, w.Reload())
		wantCurrent(t, w, g)
		wantOneGeneration(t, w, generations)
		if t.Failed() {
			return
		}
	}
	for _, err := range told.list {
		if err != nil {
			t.Errorf("reported %v", err)
		}
	}
}
