package logs_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/netparts/netparts/examples/observability/logs"
)

// A log in a file that does not grow without end: when it is long or a day old it is moved
// aside and compressed, and of the older ones the last few are kept.
func ExampleNewFile() {
	dir, err := os.MkdirTemp("", "logs")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	file := logs.NewFile(filepath.Join(dir, "debug.log"))
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(encoderConfig), file, zapcore.DebugLevel))
	logger.Debug("before the rotation")
	if err := file.Rotate(); err != nil { // as if it were long: a program may also do so on SIGHUP
		log.Fatal(err)
	}
	logger.Debug("after the rotation")
	if err := logger.Sync(); err != nil {
		log.Fatal(err)
	}
	if err := file.Close(); err != nil { // waits for the compression
		log.Fatal(err)
	}

	names, err := filepath.Glob(filepath.Join(dir, "debug-*-size.log.gz"))
	if err != nil {
		log.Fatal(err)
	}
	current, err := os.ReadFile(filepath.Join(dir, "debug.log"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(names), "older file, compressed")
	fmt.Printf("%s", current)
	// Output:
	// 1 older file, compressed
	// {"level":"debug","msg":"after the rotation"}
}

// A backup is a rotated file. Those of one moment have numbers.
type backup struct {
	name, time string
	number     int
}

// backups returns what was rotated, oldest first.
func backups(t *testing.T, dir string) (list []backup) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		name := strings.TrimSuffix(strings.TrimSuffix(e.Name(), ".gz"), ".log")
		if name == "debug" {
			continue
		}
		i := strings.LastIndex(name, "-")
		_, number, _ := strings.Cut(name[i+1:], "_")
		b := backup{name: e.Name(), time: name[:i]}
		if number != "" {
			b.number, err = strconv.Atoi(number)
			must(t, err)
		}
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b backup) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.number, b.number))
	})
	return list
}

// read returns what is in a file, compressed or not.
func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	must(t, err)
	if !strings.HasSuffix(name, ".gz") {
		return b
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	must(t, err)
	b, err = io.ReadAll(r) // which compares the checksum
	must(t, err)
	return b
}

// lines returns all lines that were logged, in the order of the files.
func lines(t *testing.T, dir string) (all []string) {
	t.Helper()
	for _, b := range backups(t, dir) {
		all = append(all, strings.Fields(string(read(t, filepath.Join(dir, b.name))))...)
	}
	return append(all, strings.Fields(string(read(t, filepath.Join(dir, "debug.log"))))...)
}

// A thousand rotations in a row lose no line, and keep the order. Many a rotator names files by
// the millisecond, and moves one over the other.
func TestThousandRotations(t *testing.T) {
	for compression, rotations := range map[string]int{"none": 1000, "gzip": 100} {
		t.Run(compression, func(t *testing.T) {
			dir := t.TempDir()
			file := logs.NewFile(filepath.Join(dir, "debug.log"))
			file.MaxBackups, file.Compression = 0, compression
			for i := range rotations {
				_, err := fmt.Fprintln(file, i)
				must(t, err)
				must(t, file.Rotate())
			}
			must(t, file.Close())
			if got := len(backups(t, dir)); got != rotations {
				t.Errorf("%d files, want %d", got, rotations)
			}
			got := lines(t, dir)
			for i := range rotations {
				if len(got) != rotations || got[i] != strconv.Itoa(i) {
					t.Fatalf("%d lines, want %d in order; line %d: %.20q", len(got), rotations, i, got[min(i, len(got)):])
				}
			}
			for _, b := range backups(t, dir) {
				if strings.HasSuffix(b.name, ".gz") != (compression == "gzip") {
					t.Errorf("after Close there is %s", b.name)
				}
			}
		})
	}
}

// Even rotations at the same instant lose nothing. Time stands still in a bubble, and a bubble
// does not end before its goroutines: the logger has none left.
func TestRotationsOfOneInstant(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		file := logs.NewFile(filepath.Join(dir, "debug.log"))
		for i := range 50 {
			_, err := fmt.Fprintln(file, i)
			must(t, err)
			must(t, file.Rotate())
		}
		must(t, file.Close())
	})
	for i, line := range lines(t, dir) {
		if line != strconv.Itoa(i) {
			t.Errorf("line %d is %s", i, line)
		}
	}
	if got := len(backups(t, dir)); got != 50 {
		t.Errorf("%d files, want 50", got)
	}
}

// Several goroutines write and rotate: each line is there once, and those of one goroutine
// are in its order.
func TestRotationBySeveralGoroutines(t *testing.T) {
	const writers, each = 4, 100
	dir := t.TempDir()
	file := logs.NewFile(filepath.Join(dir, "debug.log"))
	file.MaxBackups = 0
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := fmt.Fprintf(file, "%d:%d\n", w, i); err != nil {
					t.Error(err)
				}
				if i%4 == w {
					if err := file.Rotate(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	must(t, file.Close())
	var next [writers]int
	for _, line := range lines(t, dir) {
		var w, i int
		if _, err := fmt.Sscanf(line, "%d:%d", &w, &i); err != nil || i != next[w] {
			t.Fatalf("line %q, want number %d", line, next[w])
		}
		next[w]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("%d lines of writer %d, want %d", n, w, each)
		}
	}
}

// The size is what rotates; of the files the newest stay, as many as MaxBackups says. The
// names of those sort by time.
func TestRotationBySize(t *testing.T) {
	dir := t.TempDir()
	file := logs.NewFile(filepath.Join(dir, "debug.log"))
	file.MaxSize, file.MaxBackups = 1, 2
	long := strings.Repeat("x", 700<<10)
	for i := range 6 {
		_, err := fmt.Fprintf(file, "%d%s\n", i, long)
		must(t, err)
	}
	must(t, file.Close())
	var got []string
	for _, line := range lines(t, dir) {
		if len(line) != len(long)+1 {
			t.Errorf("a line of %d bytes", len(line))
		}
		got = append(got, line[:1])
	}
	if list := strings.Join(got, " "); list != "3 4 5" {
		t.Errorf("what is left are the lines %s, want 3 4 5", list)
	}
	for _, b := range backups(t, dir) {
		if !strings.HasPrefix(b.name, "debug-20") || !strings.HasSuffix(b.name, "-size.log.gz") {
			t.Errorf("a file %s", b.name)
		}
	}
}

// MaxAge says how long rotated files stay, and rotates nothing. RotationInterval rotates by
// time, with the next line.
func TestRotationByAge(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		interval time.Duration
		days     int
		files    int
	}{
		{0, 30, 0},
		{day, 1, 1},
		{day, 3, 3},
		{day, 30, 8}, // of the last seven days, and of today
	} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			file := logs.NewFile(filepath.Join(dir, "debug.log"))
			file.RotationInterval, file.MaxBackups = tt.interval, 0
			for range tt.days + 1 {
				_, err := fmt.Fprintln(file, "line")
				must(t, err)
				time.Sleep(day)
				synctest.Wait() // for what the rotation removes
			}
			must(t, file.Close())
		})
		if got := len(backups(t, dir)); got != tt.files {
			t.Errorf("an interval of %v, after %d days: %d files, want %d", tt.interval, tt.days, got, tt.files)
		}
	}
}

// A line that is longer than a file may be is refused. zap tells its ErrorOutput, the loss is
// seen, and the next line is written.
func TestLineLongerThanAFile(t *testing.T) {
	dir := t.TempDir()
	file := logs.NewFile(filepath.Join(dir, "debug.log"))
	file.MaxSize = 1
	var complaints bytes.Buffer
	logger := zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(encoderConfig), file, zapcore.DebugLevel),
		zap.ErrorOutput(zapcore.AddSync(&complaints)))
	logger.Info("before")
	logger.Info(strings.Repeat("x", 1<<20))
	logger.Info("after")
	must(t, file.Close())
	if got := string(read(t, filepath.Join(dir, "debug.log"))); got != "info\tbefore\ninfo\tafter\n" {
		t.Errorf("the file has %.100q", got)
	}
	if !strings.Contains(complaints.String(), "exceeds maximum file size 1048576") {
		t.Errorf("zap complains %q", &complaints)
	}
	if list := backups(t, dir); len(list) > 0 {
		t.Errorf("rotated: %v", list)
	}
}

// A line after Close is not lost; a rotation then is an error, and nothing is started anew.
func TestLineAfterClose(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		file := logs.NewFile(filepath.Join(dir, "debug.log"))
		for _, line := range []string{"one", "two"} {
			_, err := fmt.Fprintln(file, line)
			must(t, err)
			must(t, file.Close())
		}
		if err := file.Rotate(); err == nil {
			t.Error("no error of a rotation after Close")
		}
		must(t, file.Sync())
	})
	if got := strings.Join(lines(t, dir), " "); got != "one two" {
		t.Errorf("the lines are %q", got)
	}
}
