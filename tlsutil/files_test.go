package tlsutil_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/tlsutil"
)

// A generation is what the files hold at one time.
type generation struct {
	cert, key, roots []byte
	name             string         // the subject of the certificate
	pool             *x509.CertPool // of the roots
}

func pemBlock(typ string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
}

func pemKey(t testing.TB, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	noError(t, err)
	return pemBlock("PRIVATE KEY", der)
}

// newGeneration makes a certificate of a new authority. The roots are that authority
// and the given certificates.
func newGeneration(t testing.TB, name string, more ...*x509.Certificate) generation {
	t.Helper()
	ca := makeCA(t, tlsutil.Authority{Name: "CA of " + name})
	leaf := makeLeaf(t, ca, tlsutil.Leaf{Hosts: []string{"server.test"}, Name: name})
	g := generation{name: name, key: pemKey(t, leaf.PrivateKey), pool: x509.NewCertPool()}
	for _, der := range leaf.Certificate {
		g.cert = append(g.cert, pemBlock("CERTIFICATE", der)...)
	}
	for _, cert := range append(more, ca.Certificate.Leaf) {
		g.roots = append(g.roots, pemBlock("CERTIFICATE", cert.Raw)...)
		g.pool.AddCert(cert)
	}
	return g
}

// validFor makes a generation whose certificate is signed by its own key.
func validFor(t testing.TB, from, to time.Time) generation {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	noError(t, err)
	return generation{cert: selfSigned(t, key, from, to), key: pemKey(t, key)}
}

func selfSigned(t testing.TB, key crypto.Signer, from, to time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	noError(t, err)
	return pemBlock("CERTIFICATE", der)
}

// inFolder returns the files of a new folder, with what g holds; those of which it holds
// nothing have no name.
func (g generation) inFolder(t testing.TB) tlsutil.Files {
	t.Helper()
	dir := t.TempDir()
	var f tlsutil.Files
	for _, file := range []struct {
		data []byte
		name *string
		base string
	}{{g.cert, &f.Cert, "cert.pem"}, {g.key, &f.Key, "key.pem"}, {g.roots, &f.Roots, "roots.pem"}} {
		if file.data != nil {
			*file.name = filepath.Join(dir, file.base)
			overwrite(t, *file.name, file.data)
		}
	}
	return f
}

// overwrite writes into the file in place.
func overwrite(t testing.TB, name string, data []byte) {
	t.Helper()
	noError(t, os.WriteFile(name, data, 0o600))
}

// writeInto puts what g holds into the files, in place.
func (g generation) writeInto(t testing.TB, f tlsutil.Files) {
	t.Helper()
	overwrite(t, f.Cert, g.cert)
	overwrite(t, f.Key, g.key)
	if f.Roots != "" {
		overwrite(t, f.Roots, g.roots)
	}
}

// watchFiles watches until the end of the test, in a bubble or not.
func watchFiles(t testing.TB, f tlsutil.Files) *tlsutil.WatchedFiles {
	t.Helper()
	w, err := tlsutil.WatchFiles(f)
	noError(t, err)
	t.Cleanup(func() { noError(t, w.Close()) })
	return w
}

// later lets the bubble's time pass, and what is due then happen.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// reports are what OnReload was told.
type reports struct {
	mu   sync.Mutex
	list []error
}

func (r *reports) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, err)
}

// want checks what was told since the last call: the text of each error, of which a
// part is given, and "" for none.
func (r *reports) want(t testing.TB, parts ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.list
	r.list = nil
	ok := slices.EqualFunc(got, parts, func(err error, part string) bool {
		if err == nil || part == "" {
			return err == nil && part == ""
		}
		return strings.Contains(err.Error(), part)
	})
	if !ok {
		t.Errorf("reported %q, want %q", got, parts)
	}
}

// wantCurrent checks which certificate is in use.
func wantCurrent(t testing.TB, w *tlsutil.WatchedFiles, g generation) {
	t.Helper()
	block, _ := pem.Decode(g.cert)
	if c := w.Current().Certificate; !bytes.Equal(c.Certificate[0], block.Bytes) || !c.Leaf.Equal(must1(x509.ParseCertificate(block.Bytes))) {
		t.Errorf("in use is the certificate of %q, want that of %q", c.Leaf.Subject.CommonName, g.name)
	}
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// All that the files hold is in the material.
func TestMaterialOfFiles(t *testing.T) {
	other := newGeneration(t, "other")
	g := newGeneration(t, "first")
	g.cert = append(g.cert, other.roots...) // a chain of two
	w := watchFiles(t, g.inFolder(t))
	m := w.Current()
	wantCurrent(t, w, g)
	if len(m.Certificate.Certificate) != 2 {
		t.Errorf("a chain of %d, want 2", len(m.Certificate.Certificate))
	}
	if !m.Roots.Equal(g.pool) {
		t.Error("the roots are others than those in the file")
	}
	if key := m.Certificate.PrivateKey.(*ecdsa.PrivateKey); !key.PublicKey.Equal(m.Certificate.Leaf.PublicKey) {
		t.Error("the key is another")
	}
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(m.Epoch) {
		t.Errorf("Epoch = %q", m.Epoch)
	}
}

// One file may hold certificate and key, in any order, and a client may have roots alone.
func TestFewerFiles(t *testing.T) {
	g := newGeneration(t, "one")
	for _, both := range [][]byte{slices.Concat(g.cert, g.key), slices.Concat(g.key, g.cert)} {
		f := generation{cert: both}.inFolder(t)
		f.Key = f.Cert
		w := watchFiles(t, f)
		wantCurrent(t, w, g)
		if w.Current().Roots != nil {
			t.Error("there are roots without a file")
		}
	}
	m := watchFiles(t, generation{roots: g.roots}.inFolder(t)).Current()
	if m.Certificate.Certificate != nil || !m.Roots.Equal(g.pool) || m.Epoch == "" {
		t.Errorf("of roots alone: %+v", m)
	}
}

// The same bytes in other files are another epoch, the same in the same the same.
func TestEpochKnowsTheFile(t *testing.T) {
	g := newGeneration(t, "same")
	epochs := make(map[string]bool)
	for _, set := range []generation{
		{cert: slices.Concat(g.cert, []byte("text\n")), key: g.key, roots: g.roots},
		{cert: g.cert, key: slices.Concat([]byte("text\n"), g.key), roots: g.roots},
		{cert: g.cert, key: slices.Concat(g.key, []byte("text\n")), roots: g.roots},
		{cert: g.cert, key: g.key, roots: slices.Concat([]byte("text\n"), g.roots)},
		{cert: g.cert, key: g.key},
	} {
		f := set.inFolder(t)
		epoch := watchFiles(t, f).Current().Epoch
		if again := watchFiles(t, f).Current().Epoch; again != epoch {
			t.Errorf("epochs %s and %s of the same files", epoch, again)
		}
		epochs[epoch] = true
	}
	if len(epochs) != 5 {
		t.Errorf("%d epochs of 5 sets", len(epochs))
	}
}

// What the files are when the watch begins must do.
func TestWatchFilesRefuses(t *testing.T) {
	now := time.Now()
	g := newGeneration(t, "good")
	whole := g.inFolder(t)
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for _, tt := range []struct {
		name  string
		files tlsutil.Files
		want  string
		is    error
	}{
		{"nothing", tlsutil.Files{}, "no files", nil},
		{"certificate alone", tlsutil.Files{Cert: whole.Cert, Roots: whole.Roots}, "need each other", nil},
		{"key alone", tlsutil.Files{Key: whole.Key}, "need each other", nil},
		{"no certificate", tlsutil.Files{Cert: missing, Key: whole.Key}, missing, fs.ErrNotExist},
		{"no key", tlsutil.Files{Cert: whole.Cert, Key: missing}, missing, fs.ErrNotExist},
		{"no roots", tlsutil.Files{Roots: missing}, missing, fs.ErrNotExist},
		{"expired", validFor(t, now.Add(-2*time.Hour), now.Add(-time.Hour)).inFolder(t), "cert.pem ended at 20", tlsutil.ErrExpired},
		{"not yet valid", validFor(t, now.Add(time.Hour), now.Add(2*time.Hour)).inFolder(t), "cert.pem begins at 20", tlsutil.ErrExpired},
		{"key of another", generation{cert: g.cert, key: newGeneration(t, "other").key}.inFolder(t), "key.pem: not the key of the first certificate", nil},
		{"switched", tlsutil.Files{Cert: whole.Key, Key: whole.Cert}, "key.pem: no certificate, but a private key", nil},
		{"certificate for key", tlsutil.Files{Cert: whole.Cert, Key: whole.Roots}, "roots.pem: no private key, but a certificate", nil},
		{"key for roots", tlsutil.Files{Roots: whole.Key}, "key.pem: block 1 is a private key, not a certificate", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, err := tlsutil.WatchFiles(tt.files)
			if err == nil {
				w.Close()
				t.Fatal("no error")
			}
			if !strings.HasPrefix(err.Error(), "tlsutil: ") || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %q, want %q that is %v", err, tt.want, tt.is)
			}
		})
	}
}

// Current gives the same pointer, and costs nothing.
func TestCurrentAllocatesNothing(t *testing.T) {
	f := newGeneration(t, "only").inFolder(t)
	f.Interval = -1
	w := watchFiles(t, f)
	var m *tlsutil.Material
	if n := testing.AllocsPerRun(1000, func() { m = w.Current() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if m != w.Current() {
		t.Error("another pointer without a change")
	}
	// It does not look at the files.
	noError(t, os.RemoveAll(filepath.Dir(f.Cert)))
	if m != w.Current() {
		t.Error("another pointer without the files")
	}
}

// A change is noticed at the next reading, and counts when the one after it agrees.
func TestInterval(t *testing.T) {
	for _, tt := range []struct{ set, after time.Duration }{
		{0, 5200 * time.Millisecond},
		{time.Minute, time.Minute + 200*time.Millisecond},
		{50 * time.Millisecond, 100 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			before, after := newGeneration(t, "before"), newGeneration(t, "after")
			f := before.inFolder(t)
			f.Interval = tt.set
			w := watchFiles(t, f)
			after.writeInto(t, f)
			later(tt.after - 1)
			wantCurrent(t, w, before)
			later(1)
			wantCurrent(t, w, after)
		})
	}
}

// With a negative interval nothing is read but by Reload.
func TestNoInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, after := newGeneration(t, "before"), newGeneration(t, "after")
		f := before.inFolder(t)
		f.Interval = -time.Second
		w := watchFiles(t, f)
		after.writeInto(t, f)
		later(24 * time.Hour)
		wantCurrent(t, w, before)
		noError(t, w.Reload())
		wantCurrent(t, w, after)
	})
}

// Reload does not wait for the interval, says what is wrong each time, and nothing is
// reported twice.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told reports
		before, after := newGeneration(t, "before"), newGeneration(t, "after")
		f := before.inFolder(t)
		f.OnReload = told.add
		w := watchFiles(t, f)
		begin := time.Now()
		noError(t, w.Reload())
		told.want(t)
		after.writeInto(t, f)
		noError(t, w.Reload())
		wantCurrent(t, w, after)
		told.want(t, "")
		overwrite(t, f.Key, before.key)
		for range 2 {
			if err := w.Reload(); err == nil || !strings.Contains(err.Error(), "not the key") {
				t.Errorf("Reload: %v", err)
			}
		}
		wantCurrent(t, w, after)
		told.want(t, "not the key")
		if d := time.Since(begin); d != 0 {
			t.Errorf("took %v", d)
		}
		later(time.Minute)
		told.want(t)
	})
}

// Several callers and the poller do not disturb each other.
func TestReloadsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told reports
		f := newGeneration(t, "before").inFolder(t)
		f.OnReload = told.add
		w := watchFiles(t, f)
		after := newGeneration(t, "after")
		after.writeInto(t, f)
		later(5100 * time.Millisecond) // the poller has read once
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				if err := w.Reload(); err != nil {
					t.Error(err)
				}
				wantCurrent(t, w, after)
			})
		}
		group.Wait()
		told.want(t, "")
	})
}

// After Close nothing is read, nobody is told, and what is current stays.
func TestCloseFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told reports
		before := newGeneration(t, "before")
		f := before.inFolder(t)
		f.OnReload = told.add
		w := watchFiles(t, f)
		newGeneration(t, "after").writeInto(t, f)
		later(5100 * time.Millisecond) // between the two readings
		reloaded := make(chan error)
		go func() { reloaded <- w.Reload() }() // waits for the second
		synctest.Wait()
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() { noError(t, w.Close()) })
		}
		group.Wait()
		for _, err := range []error{<-reloaded, w.Reload()} {
			if !errors.Is(err, fs.ErrClosed) {
				t.Errorf("Reload: %v, want %v", err, fs.ErrClosed)
			}
		}
		later(time.Hour)
		wantCurrent(t, w, before)
		told.want(t)
	})
}

// Close waits for a call of OnReload.
func TestCloseWaitsForOnReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		called, hold := make(chan bool), make(chan bool)
		f := newGeneration(t, "before").inFolder(t)
		f.OnReload = func(error) {
			close(called)
			<-hold
		}
		w := watchFiles(t, f)
		newGeneration(t, "after").writeInto(t, f)
		<-called
		closed := make(chan error, 1)
		go func() { closed <- w.Close() }()
		synctest.Wait()
		if len(closed) != 0 {
			t.Error("Close has not waited")
		}
		close(hold)
		noError(t, <-closed)
	})
}
