//go:build linux

package lab

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A Footprint is memory, in bytes, and open files.
type Footprint struct {
	User   float64 // anonymous pages of the process, without garbage and what is free
	Kernel float64 // slabs and buffers of TCP, of the whole machine
	Files  float64
	Pipes  float64 // of the files, the ends of pipes

	Heap, Stacks float64 // as the runtime counts them, which the user part has too
	Goroutines   float64
}

// Footprint collects the garbage of a process, gives what is free back to the
// system, and looks at it from outside. What the kernel has for the process cannot
// be told apart: it is all slabs that cannot be reclaimed, where sockets, files
// and pipes are, and all pages of TCP buffers. So it has both ends of each
// connection, and what others do on the machine at that time.
func (p *Process) Footprint() Footprint {
	var f Footprint
	if p.out != nil {
		u := p.Keeps()
		f.Heap, f.Stacks, f.Goroutines = float64(u.Heap), float64(u.Stacks), float64(u.Goroutines)
	}
	for _, pid := range append([]int{p.PID}, p.PIDs...) {
		if pid != 0 { // of what is no process
			f.addProcess(p.t, pid)
		}
	}
	lines(p.t, "/proc/net/sockstat", func(fields []string) {
		if fields[0] == "TCP:" {
			f.Kernel += number(p.t, fields[len(fields)-1]) * float64(os.Getpagesize())
		}
	})
	lines(p.t, "/proc/meminfo", func(fields []string) {
		if fields[0] == "SUnreclaim:" {
			f.Kernel += number(p.t, fields[1]) * 1024
		}
	})
	return f
}

// addProcess adds the user part of a process and its files.
func (f *Footprint) addProcess(t *T, pid int) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	files, err := os.ReadDir(dir)
	t.Fatal(err)
	f.Files += float64(len(files))
	for _, file := range files {
		// An error says that it was closed meanwhile.
		if target, _ := os.Readlink(filepath.Join(dir, file.Name())); strings.HasPrefix(target, "pipe:") {
			f.Pipes++
		}
	}
	lines(t, fmt.Sprintf("/proc/%d/status", pid), func(fields []string) {
		if fields[0] == "RssAnon:" {
			f.User += number(t, fields[1]) * 1024
		}
	})
}

// lines reads a file of the kernel.
func lines(t *T, name string, each func(fields []string)) {
	text, err := os.ReadFile(name)
	t.Fatal(err)
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 1 {
			each(fields)
		}
	}
}

func number(t *T, text string) float64 {
	n, err := strconv.Atoi(text)
	t.Fatal(err)
	return float64(n)
}

// Since is the growth by each of n things.
func (f Footprint) Since(g Footprint, n int) Footprint {
	d := float64(n)
	return Footprint{
		User: (f.User - g.User) / d, Kernel: (f.Kernel - g.Kernel) / d,
		Files: (f.Files - g.Files) / d, Pipes: (f.Pipes - g.Pipes) / d,
		Heap: (f.Heap - g.Heap) / d, Stacks: (f.Stacks - g.Stacks) / d,
		Goroutines: (f.Goroutines - g.Goroutines) / d,
	}
}
