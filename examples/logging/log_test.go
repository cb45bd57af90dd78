package logging_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

var sourceLine = regexp.MustCompile(`\.go:[0-9]+:`)

// stableLines replaces the numbers of source lines, which change with every edit above them
// and would break an Example that shows them.
type stableLines struct{ io.Writer }

func (w stableLines) Write(p []byte) (int, error) {
	if _, err := w.Writer.Write(sourceLine.ReplaceAll(p, []byte(".go:LINE:"))); err != nil {
		return 0, err
	}
	return len(p), nil // of what was asked for, as io.Writer wants it
}

// A logger has a writer, a prefix, and flags that say what stands before each message. One of
// its own, rather than that of package log, is what a service hands to its parts: each may
// have another prefix, and a test reads what was logged. The line of the source tells where a
// message comes from, and costs about as much as the rest of it.
func Example_prefix() {
	logger := log.New(stableLines{os.Stdout}, "example: ", log.Lshortfile)
	logger.Print("logging to standard output")
	// Output:
	// example: log_test.go:LINE: logging to standard output
}

// With Lmsgprefix the prefix stands before the message rather than before the line, so that
// times and places stay in columns when several loggers write to one file.
func Example_messagePrefix() {
	for _, flags := range []int{log.Lshortfile, log.Lshortfile | log.Lmsgprefix} {
		for _, prefix := range []string{"dns: ", "listener: "} {
			log.New(stableLines{os.Stdout}, prefix, flags).Print("started")
		}
	}
	// Output:
	// dns: log_test.go:LINE: started
	// listener: log_test.go:LINE: started
	// log_test.go:LINE: dns: started
	// log_test.go:LINE: listener: started
}

// What a program sees that sets nothing is the time in its own zone. Services on several
// machines are read together, for which UTC and fractions of a second are needed. The clock of
// a test's bubble stands still at midnight, so that the time can be compared.
func TestTimeFlags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(1234567 * time.Microsecond)
		for _, tt := range []struct {
			flags int
			want  string
		}{
			{0, "hello\n"},
			{log.LstdFlags | log.LUTC, "2000/01/01 00:00:01 hello\n"},
			{log.LstdFlags | log.LUTC | log.Lmicroseconds, "2000/01/01 00:00:01.234567 hello\n"},
			{log.Ltime | log.LUTC | log.Lmsgprefix, "00:00:01 hello\n"},
		} {
			var b bytes.Buffer
			log.New(&b, "", tt.flags).Print("hello")
			if b.String() != tt.want {
				t.Errorf("flags %b: %q, want %q", tt.flags, &b, tt.want)
			}
		}
	})
}

// A function that logs for others would show its own line each time. Output takes how many
// calls lie between the message and the logger, and returns the error that Print hides.
func TestSourceLineOfTheCaller(t *testing.T) {
	var b bytes.Buffer
	logger := log.New(&b, "", log.Lshortfile)
	warn := func(text string) {
		if err := logger.Output(2, "warning: "+text); err != nil {
			t.Error(err)
		}
	}
	_, _, line, _ := runtime.Caller(0)
	warn("the disk is nearly full") // one line below Caller
	if want := fmt.Sprintf("log_test.go:%d: warning: the disk is nearly full\n", line+1); b.String() != want {
		t.Errorf("the log is %q, want %q", &b, want)
	}
}
