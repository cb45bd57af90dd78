//go:build linux

package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The program starts itself with these variables.
const (
	childVariable   = "NETPARTS_BENCH_CHILD"   // the part that it obeys
	kindVariable    = "NETPARTS_BENCH_KIND"    // what it is called
	cpuVariable     = "NETPARTS_BENCH_CPU"     // it is bound to one processor, if set
	userVariable    = "NETPARTS_BENCH_USER"    // the user that it runs as, if set
	profileVariable = "NETPARTS_BENCH_PROFILE" // the folder for CPU profiles, if set
)

// Child returns the name of the part that this process is a child of, or nothing.
func Child() string { return os.Getenv(childVariable) }

// RunChild is the main function of a child of the part.
func RunChild(p *Part) error {
	if p.Child == nil {
		return fmt.Errorf("the part %s has no children", p.Name)
	}
	if err := bind(); err != nil {
		return err
	}
	if dir := os.Getenv(profileVariable); dir != "" {
		// Another user might not be allowed to write there.
		stop, err := profile(dir, p.Name)
		if err != nil {
			return err
		}
		defer stop()
	}
	if err := becomeUser(); err != nil {
		return err
	}
	return p.Child()
}

// profile starts a CPU profile of this process.
func profile(dir, part string) (stop func(), err error) {
	kind := strings.ReplaceAll(os.Getenv(kindVariable), "/", "-")
	name := fmt.Sprintf("%s-%s.%d.pprof", part, kind, os.Getpid())
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
		}
	}, nil
}

// bind starts the program anew on one processor, so that its runtime knows no
// other from the beginning.
func bind() error {
	if os.Getenv(cpuVariable) == "" {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Unsetenv(cpuVariable); err != nil {
		return err
	}
	runtime.LockOSThread()
	var allowed, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return err
	}
	first := 0 // a container may have others than the first of the machine
	for !allowed.IsSet(first) {
		first++
	}
	one.Set(first)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
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

// A Usage is what a process has used.
type Usage struct {
	CPU            time.Duration // of user and system
	Mallocs, Bytes uint64        // that were allocated

	// These are what there is.
	Heap, HeapSys, Stacks uint64
	Goroutines            int
}

// Since is what was used after v. What there is stays what it is.
func (u Usage) Since(v Usage) Usage {
	u.CPU -= v.CPU
	u.Mallocs -= v.Mallocs
	u.Bytes -= v.Bytes
	return u
}

// Used is what this process has used since ever.
func Used() Usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err) // which has no way to fail
	}
	return Usage{
		CPU:     time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		Mallocs: m.Mallocs, Bytes: m.TotalAlloc,
		Heap: m.HeapAlloc, HeapSys: m.HeapSys, Stacks: m.StackInuse,
		Goroutines: runtime.NumGoroutine(),
	}
}

// Obey has a child obey orders, which are JSON on its standard input, until that ends. It
// answers each on its standard output, which is for nothing else.
func Obey[O, A any](obey func(o *O, a *A) error) error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var e envelope
		if err := in.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := out.Encode(obeyOne(&e, obey)); err != nil {
			return err
		}
	}
}

func obeyOne[O, A any](e *envelope, obey func(o *O, a *A) error) (r reply) {
	if e.Use {
		if e.Collect {
			runtime.GC()
			debug.FreeOSMemory() // which collects again, since pools survive once
		}
		r.Used = Used()
		return r
	}
	var o O
	var a A
	err := json.Unmarshal(e.Order, &o)
	if err == nil {
		before := Used()
		err = obey(&o, &a)
		r.Used = Used().Since(before)
	}
	if err == nil {
		r.Answer, err = json.Marshal(a)
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}
