package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/netparts/netparts/internal/interop"
)

// A recorder is a testing.TB that keeps how a test was ended.
type recorder struct {
	testing.TB
	ended string
}

func (*recorder) Helper() {}

func (r *recorder) Skipf(format string, args ...any) {
	r.ended = "skipped: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.ended = "failed: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// how runs f as a test would and returns how it ended.
func how(f func(testing.TB)) string {
	r := new(recorder)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return r.ended
}

func TestMissingProgram(t *testing.T) {
	need := func(tb testing.TB) { interop.Command(tb, "no-such-program", "no-such-package") }
	t.Setenv("NETPARTS_INTEROP", "")
	if got, want := how(need), "skipped: no program no-such-program: apt-get install no-such-package"; got != want {
		t.Errorf("without the variable: %q, want %q", got, want)
	}
	t.Setenv("NETPARTS_INTEROP", "1")
	if got, want := how(need), "failed: no program no-such-program: apt-get install no-such-package"; got != want {
		t.Errorf("with the variable: %q, want %q", got, want)
	}
}

func TestSlow(t *testing.T) {
	t.Setenv("NETPARTS_INTEROP", "")
	if got, want := how(interop.Slow), "skipped: this test takes minutes: set NETPARTS_INTEROP=1"; got != want {
		t.Errorf("without the variable: %q, want %q", got, want)
	}
	t.Setenv("NETPARTS_INTEROP", "1")
	if got := how(interop.Slow); got != "" {
		t.Errorf("with the variable: %q, want nothing", got)
	}
}

func TestProgramThatIsThere(t *testing.T) {
	want, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is not in the path")
	}
	var got string
	if ended := how(func(tb testing.TB) { got = interop.Command(tb, "go", "golang") }); ended != "" || got != want {
		t.Errorf("Command = %q, and the test ended with %q, want %q", got, ended, want)
	}
}

func TestRoot(t *testing.T) {
	t.Setenv("NETPARTS_INTEROP", "1")
	got := how(interop.Root)
	if isRoot := os.Geteuid() == 0; isRoot != (got == "") || !isRoot && !strings.HasPrefix(got, "failed") {
		t.Errorf("as user %d: %q", os.Geteuid(), got)
	}
}
