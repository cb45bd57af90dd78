package tlsutil_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A disk that fails is no end of the file. This one is of the kernel's, whose first
// byte nobody can read.
func TestUnusableDisk(t *testing.T) {
	testFaults(t, []fault{{"cannot be read", func(t *testing.T, name string, _ []byte) {
		noError(t, os.Remove(name))
		noError(t, os.Symlink("/proc/self/mem", name))
	}, syscall.EIO.Error()}})
}

// reads returns how many times this process has called read.
func reads(t *testing.T) (n int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/io")
	noError(t, err)
	_, after, _ := strings.Cut(string(b), "syscr: ")
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Handshakes read no files. Those here are over connections in memory.
func TestHandshakesReadNothing(t *testing.T) {
	const handshakes = 50
	p := newPeer(t)
	f := p.generation(t, "only").inFolder(t)
	f.Interval = -1
	w := watchFiles(t, f)
	noError(t, p.handshake(w)) // which finds out about the machine
	before := reads(t)
	noError(t, w.Reload())
	each := reads(t) - before // of the files, and of the count itself
	if each < 3 {
		t.Fatalf("Reload made %d reads", each)
	}
	before = reads(t)
	for range handshakes {
		noError(t, p.handshake(w))
	}
	// The runtime wakes itself by a read, seldom.
	if n := reads(t) - before; n > handshakes/2 {
		t.Errorf("%d reads in %d handshakes", n, handshakes)
	}
}
