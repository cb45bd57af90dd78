//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A footprint is memory, in bytes, and open files.
type footprint struct {
	user   float64 // anonymous pages of the process, without garbage and what is free
	kernel float64 // slabs and buffers of TCP, of the whole machine
	files  float64
	pipes  float64 // of the files, the ends of pipes

	heap, stacks float64 // as the runtime counts them, which the user part has too
}

// footprintOf collects the garbage of a process, gives what is free back to the
// system, and looks at it from outside. What the kernel has for the process cannot
// be told apart: it is all slabs that cannot be reclaimed, where sockets, files
// and pipes are, and all pages of TCP buffers. So it has both ends of each
// connection, and what others do on the machine at that time.
func footprintOf(b *testing.B, p *process) footprint {
	b.Helper()
	var f footprint
	if p.out != nil {
		u := p.keeps(b)
		f.heap, f.stacks = float64(u.Heap), float64(u.Stacks)
	}
	for _, pid := range append(p.pids, p.pid) {
		if pid != 0 { // of what is no process
			f.addProcess(b, pid)
		}
	}
	lines(b, "/proc/net/sockstat", func(fields []string) {
		if fields[0] == "TCP:" {
			f.kernel += number(b, fields[len(fields)-1]) * float64(os.Getpagesize())
		}
	})
	lines(b, "/proc/meminfo", func(fields []string) {
		if fields[0] == "SUnreclaim:" {
			f.kernel += number(b, fields[1]) * 1024
		}
	})
	return f
}

// addProcess adds the user part of a process and its files.
func (f *footprint) addProcess(b *testing.B, pid int) {
	b.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	f.files += float64(len(files))
	for _, file := range files {
		// An error says that it was closed meanwhile.
		if target, _ := os.Readlink(filepath.Join(dir, file.Name())); strings.HasPrefix(target, "pipe:") {
			f.pipes++
		}
	}
	lines(b, fmt.Sprintf("/proc/%d/status", pid), func(fields []string) {
		if fields[0] == "RssAnon:" {
			f.user += number(b, fields[1]) * 1024
		}
	})
}

// lines reads a file of the kernel.
func lines(b *testing.B, name string, each func(fields []string)) {
	b.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 1 {
			each(fields)
		}
	}
}

func number(b *testing.B, text string) float64 {
	b.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return float64(n)
}

// BenchmarkEchoIdleMemory shows what a connection costs that has nothing to do: after
// requests of 64 bytes, and after some of 16 KiB besides.
//
// The user part is the growth of the anonymous pages of the server's process
// (RssAnon), after garbage and free pages are given up, since before the
// connections were opened; so it has stacks, and what does not fill a page. The
// ratios are of it. For the kernel part see footprintOf.
func BenchmarkEchoIdleMemory(b *testing.B) {
	const count = 1000
	kinds := []string{kindOurs, kindPlain, kindCopy, kindGnet}
	for _, sizes := range [][]int{{64}, {64, 16 << 10}} {
		b.Run(fmt.Sprint(sizes[len(sizes)-1]), func(b *testing.B) {
			found := make(map[string][]footprint)
			for b.Loop() {
				for _, kind := range kinds {
					found[kind] = append(found[kind], idle(b, kind, count, sizes))
				}
			}
			reportIdle(b, kinds, found)
		})
	}
}

func reportIdle(b *testing.B, kinds []string, found map[string][]footprint) {
	b.Helper()
	t := newTable("", "user B", "its heap", "its stacks", "kernel B", "files", "user part of ours is", "with the kernel's")
	ours := typical(found[kindOurs])
	b.ReportMetric(ours.user, "B/conn")
	b.ReportMetric(ours.kernel, "kernel-B/conn")
	for _, kind := range kinds {
		f := typical(found[kind])
		ratio := ours.user / f.user
		t.row(kind, f.user, f.heap, f.stacks, f.kernel, f.files, ratio, (ours.user+ours.kernel)/(f.user+f.kernel))
		if kind != kindOurs {
			b.ReportMetric(ratio, "x-"+kind)
		}
	}
	t.print(b)
}

// idle is what a connection of a new server costs after requests of each size.
func idle(b *testing.B, kind string, count int, sizes []int) footprint {
	b.Helper()
	server, client := startEcho(b, kind, "tcp"), startClient(b)
	at := []string{server.addr}
	open := func(conns int) {
		client.tell(b, order{Do: "echo-open", Addrs: at, Count: conns})
		for _, size := range sizes {
			client.tell(b, order{Do: "echo-requests", Addrs: at, Count: 4 * conns, Size: size})
		}
	}
	open(1) // to warm up
	client.tell(b, order{Do: "echo-close", Addrs: at})
	before := footprintOf(b, server)
	open(count)
	f := footprintOf(b, server)
	client.tell(b, order{Do: "echo-close", Addrs: at})
	return f.since(before, float64(count))
}

// since is the growth by each of n connections.
func (f footprint) since(g footprint, n float64) footprint {
	return footprint{
		(f.user - g.user) / n, (f.kernel - g.kernel) / n, (f.files - g.files) / n, (f.pipes - g.pipes) / n,
		(f.heap - g.heap) / n, (f.stacks - g.stacks) / n,
	}
}

// typical is the median of each figure.
func typical(list []footprint) (f footprint) {
	for _, field := range []func(*footprint) *float64{
		func(f *footprint) *float64 { return &f.user },
		func(f *footprint) *float64 { return &f.kernel },
		func(f *footprint) *float64 { return &f.files },
		func(f *footprint) *float64 { return &f.pipes },
		func(f *footprint) *float64 { return &f.heap },
		func(f *footprint) *float64 { return &f.stacks },
	} {
		var values []float64
		for i := range list {
			values = append(values, *field(&list[i]))
		}
		*field(&f) = median(values)
	}
	return f
}
