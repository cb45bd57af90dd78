package tlsutil_test

import (
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/tlsutil"
)

const nobody = 65534

// asNobody calls f without the rights of root to files, if the test has them.
func asNobody(t *testing.T, f func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		return f()
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // which ends with the goroutine
		err := syscall.Setfsuid(nobody)
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}

// sharedFolder makes a folder that f of asNobody gets to, as it does not to those of
// testing.T.
func sharedFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "tlsutil")
	noError(t, err)
	t.Cleanup(func() { noError(t, os.RemoveAll(folder)) })
	return folder
}

// chownToNobody gives what f of asNobody is to own.
func chownToNobody(t *testing.T, names ...string) {
	t.Helper()
	if os.Geteuid() == 0 {
		for _, name := range names {
			noError(t, os.Chown(name, nobody, -1))
		}
	}
}

func TestFolderThatIsNotWritable(t *testing.T) {
	cert := makeSelfSigned(t, localhost)
	open, shut := sharedFolder(t), sharedFolder(t)
	chownToNobody(t, open)
	noError(t, os.Chmod(shut, 0o555))
	noError(t, asNobody(t, func() error {
		return tlsutil.WriteFiles(cert, filepath.Join(open, "cert.pem"), filepath.Join(open, "cert.pem"))
	}))
	for _, folders := range [][2]string{{open, shut}, {shut, open}} {
		wantError(t, asNobody(t, func() error {
			return tlsutil.WriteFiles(cert, filepath.Join(folders[0], "new.pem"), filepath.Join(folders[1], "key.pem"))
		}), shut, "permission denied")
		wantEntries(t, open, "cert.pem")
		wantEntries(t, shut)
	}
}

// A folder that may be written but not read cannot be synced.
func TestFolderThatIsNotReadable(t *testing.T) {
	cert := makeSelfSigned(t, localhost)
	folder := sharedFolder(t)
	chownToNobody(t, folder)
	noError(t, os.Chmod(folder, 0o300))
	certFile, keyFile := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	noError(t, asNobody(t, func() error { return tlsutil.WriteFiles(cert, certFile, keyFile) }))
	noError(t, os.Chmod(folder, 0o700))
	wantPair(t, cert, certFile, keyFile)
	wantEntries(t, folder, "cert.pem", "key.pem")
}

// Where the second file cannot be replaced, as that of another user in a folder with the
// sticky bit, the key is the one that stays.
func TestRootKeyIsReplacedLast(t *testing.T) {
	interop.Root(t) // has files of another user
	old, cert := makeSelfSigned(t, localhost), makeSelfSigned(t, localhost)
	tests := []struct {
		name, mine string
		certAfter  tls.Certificate
	}{
		{"the key is another's", "cert.pem", cert},
		{"the certificate is another's", "key.pem", old},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := sharedFolder(t)
			certFile, keyFile := writePair(t, folder, old)
			noError(t, os.Chmod(folder, 0o777|os.ModeSticky))
			chownToNobody(t, filepath.Join(folder, tt.mine))
			wantError(t, asNobody(t, func() error { return tlsutil.WriteFiles(cert, certFile, keyFile) }), "not permitted")
			wantEntries(t, folder, "cert.pem", "key.pem")
			_, oldKey := encoded(t, old)
			certPEM, _ := encoded(t, tt.certAfter)
			if readText(t, keyFile) != oldKey {
				t.Error("the old key is lost")
			}
			if readText(t, certFile) != certPEM {
				t.Error("the certificate's file does not hold what it should")
			}
		})
	}
}

// What a full disk does to a write, a limit on the size of files does. It is one of the
// process, so that this is done in a child: testing writes to a file of its own at any time.
func TestDiskThatIsFull(t *testing.T) {
	const child = "TLSUTIL_TEST_FULL_DISK"
	if os.Getenv(child) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiskThatIsFull$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestDiskThatIsFull") {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	old, cert := makeSelfSigned(t, localhost), makeSelfSigned(t, localhost)
	certPEM, keyPEM := encoded(t, cert)
	for _, room := range []int{0, 1, len(keyPEM) - 1, len(keyPEM), len(certPEM) - 1} {
		folder := t.TempDir()
		certFile, keyFile := writePair(t, folder, old)
		var limit syscall.Rlimit
		noError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
		noError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(room), Max: limit.Max}))
		err := tlsutil.WriteFiles(cert, certFile, keyFile)
		noError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
		wantError(t, err, "file too large")
		wantNoSecret(t, keyPEM, err.Error())
		wantPair(t, old, certFile, keyFile)
		wantEntries(t, folder, "cert.pem", "key.pem")
	}
}
