//go:build linux || darwin || freebsd

package housework_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/netparts/netparts/housework"
)

// fileChildEnv makes a process of this test program a child, which does something with
// a list instead of running tests: its words are the path, the format, what to do, and
// numbers.
const fileChildEnv = "HOUSEWORK_FILE_CHILD"

func init() {
	args := strings.Fields(os.Getenv(fileChildEnv))
	if len(args) == 0 {
		return
	}
	runtime.LockOSThread() // so that system calls of the list can be counted
	if err := fileChild(args[0], args[1], args[2], args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func fileChild(path, format, do string, args []string) error {
	codec, err := housework.ParseFormat(format)
	if err != nil {
		return err
	}
	numbers := make([]int, len(args))
	for i, arg := range args {
		if numbers[i], err = strconv.Atoi(arg); err != nil {
			return err
		}
	}
	s, err := housework.OpenFile(path, &housework.FileOptions{Codec: codec})
	if err != nil {
		return err
	}
	defer s.Close()
	f, ok := fileChildren[do]
	if !ok {
		return fmt.Errorf("no such thing to do: %s", do)
	}
	return f(s, numbers)
}

// fileChildren are the things that children do.
var fileChildren = map[string]func(s *housework.FileStore, numbers []int) error{
	// twenty adds twenty chores, one by one, with a number in their names.
	"twenty": func(s *housework.FileStore, numbers []int) error {
		for i := range 20 {
			if err := fileChildAdd(s, numbers[0], i); err != nil {
				return err
			}
		}
		return nil
	},
	// forever adds with a writer for each number, from which it counts.
	"forever": fileChildForever,
	// once adds one chore, with a request id.
	"once": func(s *housework.FileStore, numbers []int) error { return fileChildAdd(s, 0, numbers[0]) },
	// twice tries again, whatever came of the first time.
	"twice": func(s *housework.FileStore, numbers []int) error {
		if err := fileChildAdd(s, 0, numbers[0]); err != nil {
			fmt.Println(err)
		}
		return fileChildAdd(s, 0, numbers[0])
	},
}

func fileChildAdd(s housework.Store, writer, i int) error {
	id := fmt.Sprintf("%d.%d", writer, i)
	_, err := s.Add(context.Background(), id, fileChores(id))
	return err
}

// fileChildForever tells each chore that is acknowledged on standard output.
func fileChildForever(s *housework.FileStore, from []int) error {
	var wait sync.WaitGroup
	for writer, i := range from {
		wait.Go(func() {
			for ; ; i++ {
				if err := fileChildAdd(s, writer, i); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Printf("%d %d\n", writer, i)
			}
		})
	}
	wait.Wait()
	return nil
}

// fileCommand returns the command of a child.
func fileCommand(t *testing.T, path string, codec housework.Codec, do string, numbers ...int) *exec.Cmd {
	t.Helper()
	words := []string{path, codec.String(), do}
	for _, n := range numbers {
		words = append(words, strconv.Itoa(n))
	}
	self, err := os.Executable()
	fileNoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	// Without the last, the race detector waits for a second at the end.
	cmd.Env = append(os.Environ(), fileChildEnv+"="+strings.Join(words, " "), "GORACE=atexit_sleep_ms=0")
	return cmd
}
