//go:build linux

package lab_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/bench/lab"
)

// TestMain lets the test be what its children are started as.
func TestMain(m *testing.M) {
	if lab.Child() != "" {
		if err := lab.RunChild(&lab.Part{Name: "made", Child: serve}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// The orders of the child that the tests start.
type (
	order struct {
		Listen   bool          // as an echo server of lines
		Allocate int           // and keep so many bytes
		Spin     time.Duration // use so much CPU time
		Hang     bool          // after the input has ended
		Exit     bool
		Fail     string
	}
	answer struct {
		Addr       string
		Processors int
		Bound      unix.CPUSet // the processors that it may use
		User       int
	}
)

var kept []byte

// serve is a child.
func serve() error {
	hang := false
	err := lab.Obey(func(o *order, a *answer) error {
		a.Processors, a.User = runtime.NumCPU(), os.Getuid()
		if err := unix.SchedGetaffinity(0, &a.Bound); err != nil {
			return err
		}
		kept = make([]byte, o.Allocate)
		for i := 0; i < len(kept); i += 512 { // in each page
			kept[i] = byte(i)
		}
		for begin := lab.Used().CPU; lab.Used().CPU-begin < o.Spin; {
			continue
		}
		hang = o.Hang
		if o.Exit {
			os.Exit(3)
		}
		if o.Fail != "" {
			return errors.New(o.Fail)
		}
		if !o.Listen {
			return nil
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		a.Addr = l.Addr().String()
		go echo(l) // until the process ends
		return nil
	})
	if hang {
		never := make(chan os.Signal, 1)
		signal.Notify(never, syscall.SIGUSR1)
		<-never
	}
	return err
}

func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			line, err := bufio.NewReader(c).ReadString('\n')
			if err == nil {
				_, _ = c.Write([]byte(line)) // the client notices what it does not get
			}
		}()
	}
}

// gone reports whether a process is no more, not even as a zombie.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func TestProcess(t *testing.T) {
	var pid int
	_, err := runOne(t, 1, func(lt *lab.T) {
		p := lt.Start("server", lab.OneCPU)
		pid = p.PID
		if p.Kind != "server" {
			t.Errorf("kind %q", p.Kind)
		}
		a, _ := lab.Tell[answer](p, order{})
		if a.Processors != 1 {
			t.Errorf("a process that is bound knows %d processors", a.Processors)
		}
		before := p.CPU()
		_, used := lab.Tell[answer](p, order{Spin: 20 * time.Millisecond})
		if spent := p.CPU() - before; used.CPU < 20*time.Millisecond || spent < used.CPU {
			t.Errorf("CPU time of %v from inside, %v from outside, want 20 ms or more", used.CPU, spent)
		}
		_, used = lab.Tell[answer](p, order{Allocate: 1 << 20})
		if used.Bytes < 1<<20 || used.Mallocs == 0 {
			t.Errorf("%d bytes in %d allocations, want 1 MiB or more", used.Bytes, used.Mallocs)
		}
		if u := p.Use(); u.Goroutines < 1 || u.CPU < 20*time.Millisecond {
			t.Errorf("used since ever: %+v", u)
		}
		p.End()
		if !gone(pid) {
			t.Error("the child is still there after its end")
		}
		pid = lt.Start("client").PID
		for lt.Round() {
			lt.Record(lab.Ours, "cost", 1)
		}
	})
	if err != nil {
		t.Error(err)
	}
	if !gone(pid) {
		t.Error("the child is still there")
	}
}

// The processors that a process may use need not have the first one among them.
func TestOneOfTheProcessorsThatAreAllowed(t *testing.T) {
	var all, second unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	if all.Count() < 2 {
		t.Skip("it takes two processors")
	}
	for cpu, seen := 0, 0; seen < 2; cpu++ {
		if all.IsSet(cpu) {
			second.Zero()
			second.Set(cpu)
			seen++
		}
	}
	_, err := runOne(t, 1, func(lt *lab.T) {
		runtime.LockOSThread() // it ends with the case, and starts the child
		lt.Fatal(unix.SchedSetaffinity(0, &second))
		a, _ := lab.Tell[answer](lt.Start("server", lab.OneCPU), order{})
		if a.Bound != second {
			t.Errorf("bound to %x, want %x", a.Bound, second)
		}
		for lt.Round() {
			lt.Record(lab.Ours, "cost", 1)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// The child has come to its end when the case has, whatever it was told.
func TestChildAfterFailure(t *testing.T) {
	for _, tt := range []struct {
		name  string
		order order
		want  string
	}{
		{"error", order{Fail: "out of paper"}, "server: out of paper"},
		{"exit", order{Exit: true}, "server: ended before it had answered\nserver: exit status 3"},
		{"hanging", order{Hang: true}, "server: did not end with its input: signal: killed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.order.Hang {
				lab.SetPatience(t, 100*time.Millisecond)
			}
			var pid int
			_, err := runOne(t, 1, func(t *lab.T) {
				p := t.Start("server")
				pid = p.PID
				lab.Tell[answer](p, tt.order)
				t.Fatalf("the end")
			})
			wantFailure(t, err, tt.want)
			if !gone(pid) {
				t.Error("the child is still there")
			}
		})
	}
}

func TestChildOfAnotherUser(t *testing.T) {
	_, err := runOne(t, 1, func(lt *lab.T) {
		p := lt.Start("server", lab.UserPrefix+"65534")
		a, _ := lab.Tell[answer](p, order{})
		if a.User != 65534 {
			t.Errorf("user %d, want 65534", a.User)
		}
		for lt.Round() {
			lt.Record(lab.Ours, "cost", float64(p.CPU()))
		}
	})
	if os.Geteuid() == 0 && err != nil {
		t.Error(err)
	}
	if os.Geteuid() != 0 && os.Geteuid() != 65534 && err == nil {
		t.Error("another user became 65534")
	}
}

// The profile of a child that becomes another user is in a folder that is not that user's.
func TestProfileOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root")
	}
	dir := t.TempDir()
	part := lab.Part{Name: "made", Child: serve, Cases: []lab.Case{{
		Name: "case", Sides: lab.Sides(lab.Ours), Metrics: []lab.Metric{{Name: "cost"}},
		Run: func(lt *lab.T) {
			p := lt.Start("server", lab.UserPrefix+"65534")
			lab.Tell[answer](p, order{})
			for lt.Round() {
				lt.Record(lab.Ours, "cost", 1)
			}
		},
	}}}
	r := lab.Runner{Rounds: 1, Tiny: true, Profiles: dir}
	if _, err := r.Run(t.Context(), &part); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "made-server.*.pprof"))
	if err != nil || len(files) != 1 {
		t.Fatalf("profiles %q, want one (error: %v)", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Size() == 0 {
		t.Errorf("%s is empty (error: %v)", files[0], err)
	}
}

func TestFootprint(t *testing.T) {
	const size = 16 << 20
	_, err := runOne(t, 1, func(lt *lab.T) {
		p := lt.Start("server")
		lab.Tell[answer](p, order{})
		before := p.Footprint()
		if before.User <= 0 || before.Kernel <= 0 || before.Files < 3 || before.Goroutines < 1 {
			t.Errorf("footprint of a process: %+v", before)
		}
		lab.Tell[answer](p, order{Allocate: size})
		each := p.Footprint().Since(before, size)
		if each.User < 0.5 || each.User > 5 || each.Heap < 0.5 || each.Heap > 2 {
			t.Errorf("a byte takes %v bytes of memory and %v of the heap, want about one, and with the race detector three", each.User, each.Heap)
		}
		other := lt.Program("program", "", p.PID).Footprint()
		if other.User < size || other.Heap != 0 {
			t.Errorf("seen as a program: %+v", other)
		}
		for lt.Round() {
			lt.Record(lab.Ours, "cost", 1)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestContest(t *testing.T) {
	const rounds = 2
	p := lab.Part{Name: "made", Child: serve, Cases: []lab.Case{{
		Name: "lines", Sides: lab.Sides(lab.Ours, "peer", "quitter"), Metrics: lab.Requests.MetricsWithLost(),
		Run: func(t *lab.T) {
			settled := 0
			c := lab.Contest{T: t, Scale: lab.Requests, Servers: make(map[string]*lab.Process), Settle: func() { settled++ }}
			for _, side := range t.Present() {
				c.Servers[side] = t.Start(side)
				a, _ := lab.Tell[answer](c.Servers[side], order{Listen: true})
				c.Servers[side].Addr = a.Addr
			}
			work := func(server *lab.Process) lab.Done {
				begin := time.Now()
				t.Fatal(ask(server.Addr))
				return lab.Done{Count: 1, Lost: 3, Took: time.Since(begin)}
			}
			c.Each(work)
			for t.Round() {
				c.Round(func(server *lab.Process) lab.Done {
					if server.Kind == "quitter" {
						t.GiveUp(server.Kind, "had enough")
						return lab.Done{}
					}
					return work(server)
				})
			}
			if settled != 2*rounds+1 {
				t.Fatalf("settled %d times", settled)
			}
		},
	}}}
	r := lab.Runner{Rounds: rounds}
	found, err := r.Run(t.Context(), &p)
	if err != nil {
		t.Fatal(err)
	}
	f := &found.Cases[0]
	for _, side := range []string{lab.Ours, "peer"} {
		for _, m := range lab.Requests.MetricsWithLost() {
			s := lab.Summarize(f.Side(side).Samples[m.Name])
			positive := s.Median > 0 || m.Name == lab.Requests.Client // which nobody has told
			if s.Rounds != rounds || !positive {
				t.Errorf("%s of %s: %+v", m.Name, side, s)
			}
		}
		if lost := f.Side(side).Samples[lab.Lost][0]; lost != 75 {
			t.Errorf("%v %% lost, want 75", lost)
		}
	}
	if s := f.Side("quitter"); s.Absent != "had enough" || len(s.Samples) != 0 {
		t.Errorf("the side that was given up: %+v", s)
	}
}

// ask has a line come back.
func ask(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("hello\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && line != "hello\n" {
		err = fmt.Errorf("%q came back", line)
	}
	return err
}

func TestThisMachine(t *testing.T) {
	m := lab.ThisMachine([]lab.Part{{Peers: []lab.Peer{
		{Name: "module", Module: "golang.org/x/sys"},
		{Name: "program", Version: func() (string, error) { return "1.2", nil }},
		{Name: "missing", Version: func() (string, error) { return "", errors.New("install it") }},
		{Name: "plain"},
	}}})
	if m.Go != runtime.Version() || m.Processors < 1 || m.Memory < 1<<20 || !strings.HasPrefix(m.System, "Linux ") {
		t.Errorf("machine: %+v", m)
	}
	if v := m.Versions["module"]; !strings.HasPrefix(v, "golang.org/x/sys") {
		t.Errorf("version of a module: %q", v)
	}
	if m.Versions["program"] != "1.2" || m.Missing["missing"] != "install it" || len(m.Versions) != 2 || len(m.Missing) != 1 {
		t.Errorf("versions %q, missing %q", m.Versions, m.Missing)
	}
}

func TestContent(t *testing.T) {
	short := string(lab.Content(100))
	long := lab.Content(1 << 10)
	if len(long) != 1<<10 || string(long[:100]) != short || string(lab.Content(100)) != short {
		t.Error("the content begins differently")
	}
}
