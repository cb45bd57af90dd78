//go:build linux

package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Servers and clients run in processes of their own, so that what each of them
// uses can be told apart: the program starts itself with these variables.
const (
	childVariable   = "NETPARTS_BENCH_CHILD"   // what the process is called
	cpuVariable     = "NETPARTS_BENCH_CPU"     // the processor that it is bound to, if set
	userVariable    = "NETPARTS_BENCH_USER"    // the user that it runs as, if set
	profileVariable = "NETPARTS_BENCH_PROFILE" // the folder for CPU profiles, if set
)

func TestMain(m *testing.M) {
	name := os.Getenv(childVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := errors.Join(bind(), becomeUser(), runChild(name)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// bind starts the program anew on one processor, so that its runtime knows no
// other from the beginning.
func bind() error {
	value := os.Getenv(cpuVariable)
	if value == "" {
		return nil
	}
	cpu, err := strconv.Atoi(value)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Unsetenv(cpuVariable); err != nil {
		return err
	}
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, os.Environ())
}

// becomeUser gives up the rights of root, which has larger buffers than others.
func becomeUser() error {
	value := os.Getenv(userVariable)
	if value == "" {
		return nil
	}
	id, err := strconv.Atoi(value)
	if err != nil {
		return err
	}
	return errors.Join(syscall.Setgroups(nil), syscall.Setgid(id), syscall.Setuid(id))
}

// An order is what a child is told to do, by a line of JSON on its standard
// input. It answers each with an answer, and ends with the input.
type order struct {
	Do      string // "use", or an order of obeyTFTP, obeyEcho, obeyHeartbeat, obeyProxy, obeyHTTP or obeyHousework
	Kind    string // of server or client
	Size    int    // bytes of the file, of a request or of a datagram
	Collect bool   // garbage, before the use is told

	Addrs []string // of servers
	Count int      // of transfers, connections, requests or datagrams

	// These are for TFTP.
	Block, Window int
	Workers       int // how many work at once
	Limit         time.Duration

	// These are for echo, and the first two for proxies.
	Network  string
	Bytes    int  // of a stream
	Coalesce bool // datagrams

	Handler string // of HTTP servers
}

// An answer is what a child says after an order.
type answer struct {
	Addr  string          // of the server
	Took  []time.Duration // of each transfer that went well
	Fails []string        // of those that did not
	All   time.Duration   // of all together
	Done  int             // requests, datagrams or bytes that came back
	Lost  int             // datagrams that did not
	Used  usage           // since the order, or for "use" since ever
	Error string
}

// A usage is what a process has used.
type usage struct {
	CPU            time.Duration
	Mallocs, Bytes uint64 // that were allocated

	// These are what there is.
	Heap, HeapInuse, HeapSys, Stacks uint64
	Goroutines                       int
}

func (u usage) since(v usage) usage {
	u.CPU -= v.CPU
	u.Mallocs -= v.Mallocs
	u.Bytes -= v.Bytes
	return u
}

func used() usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err) // which has no way to fail
	}
	return usage{
		CPU:     time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		Mallocs: m.Mallocs, Bytes: m.TotalAlloc,
		Heap: m.HeapAlloc, HeapInuse: m.HeapInuse, HeapSys: m.HeapSys, Stacks: m.StackInuse,
		Goroutines: runtime.NumGoroutine(),
	}
}

// A child does what it is told.
type child struct {
	open  []*net.UDPConn // clients of TFTP that stay silent
	echo  echoClient
	pairs *pairs
	proxy proxyChild
	http  map[string]*httpLoad // by the address of the server

	chores choreChild
}

func runChild(name string) error {
	if dir := os.Getenv(profileVariable); dir != "" {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s.%d.pprof", name, os.Getpid())))
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	var c child
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if err := in.Decode(&o); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		content(o.Size) // which is not part of any work
		before := used()
		var a answer
		if err := c.obey(&o, &a); err != nil {
			a.Error = err.Error()
		}
		a.Used = used()
		if o.Do != "use" {
			a.Used = a.Used.since(before)
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

func (c *child) obey(o *order, a *answer) error {
	switch {
	case o.Do == "use":
		if o.Collect {
			runtime.GC()
			debug.FreeOSMemory() // which collects again, since pools survive once
		}
		return nil
	case strings.HasPrefix(o.Do, "echo-"):
		return c.obeyEcho(o, a)
	case strings.HasPrefix(o.Do, "heartbeat-"):
		return c.obeyHeartbeat(o, a)
	case strings.HasPrefix(o.Do, "proxy-"):
		return c.obeyProxy(o, a)
	case strings.HasPrefix(o.Do, "httpmw-"):
		return c.obeyHTTP(o, a)
	case strings.HasPrefix(o.Do, "housework-"):
		return c.obeyHousework(o, a)
	}
	return c.obeyTFTP(o, a)
}

var random struct {
	sync.Mutex
	source *rand.ChaCha8
	bytes  []byte
}

// content is a file of random data, the same in all processes.
func content(size int) []byte {
	random.Lock()
	defer random.Unlock()
	if len(random.bytes) < size {
		random.bytes = make([]byte, size)
		random.source = rand.NewChaCha8([32]byte{1, 2, 3})
		_, _ = random.source.Read(random.bytes) // which never fails
	}
	return random.bytes[:size:size]
}
