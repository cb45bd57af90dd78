package sockets_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/examples/sockets"
	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/internal/netns"
)

// An mtuPath is a client and a server with a router between them, each a namespace of
// its own. What they are made of ends with them.
type mtuPath struct{ client, router, server *netns.Namespace }

// newMTUPath links the three. The second link has two ends, whose MTUs the test chooses:
// the router tells by ICMP what is larger than its own, and the server's end drops what
// is larger than that, without a word.
func newMTUPath(t *testing.T, routerMTU, serverMTU int) mtuPath {
	t.Helper()
	ip := interop.Command(t, "ip", "iproute2")
	p := mtuPath{netns.New(t), netns.New(t), netns.New(t)}
	// An address of IPv6 would be of use only after the second in which nobody objects to it.
	for _, n := range []*netns.Namespace{p.client, p.router, p.server} {
		mtuSet(t, n, map[string]string{"ipv6/conf/default/accept_dad": "0"})
	}
	mtuSet(t, p.router, map[string]string{"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"})
	mtuRun(t, p.router, ip,
		"link add c type veth peer name net0 netns "+mtuThread(t, p.client),
		"link add s type veth peer name net0 netns "+mtuThread(t, p.server),
		"link set s mtu "+strconv.Itoa(routerMTU),
		"address add 192.0.2.1/25 dev c", "address add 192.0.2.129/25 dev s",
		"address add 2001:db8:1::1/64 dev c nodad", "address add 2001:db8:2::1/64 dev s nodad",
		"link set c up", "link set s up",
	)
	mtuRun(t, p.client, ip,
		"address add 192.0.2.2/25 dev net0", "address add 2001:db8:1::2/64 dev net0 nodad", "link set net0 up",
		"route add default via 192.0.2.1", "route add default via 2001:db8:1::1",
	)
	mtuRun(t, p.server, ip,
		"link set net0 mtu "+strconv.Itoa(serverMTU),
		"address add 192.0.2.130/25 dev net0", "address add 2001:db8:2::2/64 dev net0 nodad", "link set net0 up",
		"route add default via 192.0.2.129", "route add default via 2001:db8:2::1",
	)
	// A host tells each other host of one closed port a second, which the tests do not wait for.
	mtuSet(t, p.server, map[string]string{"ipv4/icmp_ratelimit": "0", "ipv6/icmp/ratelimit": "0"})
	p.await(t, "192.0.2.130:9")
	p.await(t, "[2001:db8:2::2]:9")
	return p
}

// await waits until an address is reached: the kernel takes links into use up to a second after
// they were set up, and drops what is sent before that.
func (p mtuPath) await(t *testing.T, address string) {
	t.Helper()
	err := p.client.Do(func() error {
		conn, err := net.Dial("udp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		for begin := time.Now(); time.Since(begin) < udpSoon; {
			if err := conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
				return err
			}
			_, err := conn.Write(nil)
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			if errors.Is(err, syscall.ECONNREFUSED) {
				return nil
			}
		}
		return errors.New("no way to " + address)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// mtuThread names the namespace to the program ip.
func mtuThread(t *testing.T, n *netns.Namespace) string {
	t.Helper()
	var id int
	if err := n.Do(func() error { id = unix.Gettid(); return nil }); err != nil {
		t.Error(err)
	}
	return strconv.Itoa(id)
}

func mtuRun(t *testing.T, n *netns.Namespace, ip string, commands ...string) {
	t.Helper()
	err := n.Do(func() error {
		for _, c := range commands {
			if out, err := exec.CommandContext(t.Context(), ip, strings.Fields(c)...).CombinedOutput(); err != nil {
				return fmt.Errorf("ip %s: %w: %s", c, err, out)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mtuSet(t *testing.T, n *netns.Namespace, settings map[string]string) {
	t.Helper()
	err := n.Do(func() error {
		for name, value := range settings {
			if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// find asks from the client. It may be called by several goroutines at once: each is given
// a thread in the namespace, which ends with it. What does not answer is waited for 0.3
// seconds at most, in which an answer comes even on a machine that is busy.
func (p mtuPath) find(t *testing.T, address string) (mtu sockets.MTU, err error) {
	t.Helper()
	namespace, err := os.Open("/proc/self/task/" + mtuThread(t, p.client) + "/ns/net")
	if err != nil {
		return mtu, err
	}
	defer namespace.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread() // and never unlock it, since nobody else may get this thread
		if err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			return
		}
		probe := sockets.MTUProbe{Wait: 100 * time.Millisecond}
		mtu, err = probe.Find(t.Context(), address)
	})
	wg.Wait()
	return mtu, err
}

// The MTU of the path is that of its narrowest link, whoever tells: the client's own
// interface, a router, or nobody. The host answers by an echo or by ICMP.
func TestRootPathMTU(t *testing.T) {
	t.Parallel()
	// An end of a virtual Ethernet takes 4 bytes more than its MTU, as if each frame
	// had the tag of a VLAN.
	const tag = 4
	for _, tt := range []struct {
		name   string
		router int
		server int
		want   int
	}{
		{name: "no narrower link", router: 1500, server: 1500, want: 1500},
		{name: "a router that tells", router: 1400, server: 1500, want: 1400},
		{name: "a black hole", router: 1500, server: 1492, want: 1492 + tag},
		{name: "a router that tells and a black hole behind it", router: 1400, server: 1392, want: 1392 + tag},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newMTUPath(t, tt.router, tt.server)
			var wg sync.WaitGroup
			for host, headers := range map[string]int{"192.0.2.130": 28, "2001:db8:2::2": 48} {
				echo := mtuEcho(t, p.server.ListenUDP(t, "udp", net.JoinHostPort(host, "0")))
				for _, address := range []string{echo, net.JoinHostPort(host, "9")} {
					wg.Go(func() {
						got, err := p.find(t, address)
						if err != nil || got.Packet != tt.want || got.Payload != tt.want-headers {
							t.Errorf("Find(%s) = %+v, %v, want a packet of %d bytes", address, got, err, tt.want)
						}
					})
				}
			}
			wg.Wait()
		})
	}
}

// What keeps every packet from arriving is told at once, be it here or at a router, and
// is not silence.
func TestRootPathMTUWithoutRoute(t *testing.T) {
	t.Parallel()
	p := newMTUPath(t, 1500, 1500)
	unreachable := []error{syscall.ENETUNREACH, syscall.EHOSTUNREACH}
	for _, address := range []string{"203.0.113.1:9", "[2001:db8:3::1]:9"} {
		if mtu, err := p.find(t, address); !mtuIsAny(err, unreachable) {
			t.Errorf("Find(%s), for which the router has no route: %+v, %v", address, mtu, err)
		}
	}
	p.client = netns.New(t)
	for _, address := range []string{"203.0.113.1:9", "[2001:db8:3::1]:9"} {
		if mtu, err := p.find(t, address); !mtuIsAny(err, unreachable) {
			t.Errorf("Find(%s) without a route: %+v, %v", address, mtu, err)
		}
	}
}

func mtuIsAny(err error, targets []error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// An MTU that the kernel has learned is a hint: when a path has become wider, the
// search finds that, though the kernel still believes in the smaller one.
func TestRootPathMTUThatGrew(t *testing.T) {
	t.Parallel()
	ip := interop.Command(t, "ip", "iproute2")
	p := newMTUPath(t, 1300, 1500)
	for _, want := range []int{1300, 1420} {
		mtuRun(t, p.router, ip, "link set s mtu "+strconv.Itoa(want))
		for _, address := range []string{"192.0.2.130:9", "[2001:db8:2::2]:9"} {
			if got, err := p.find(t, address); err != nil || got.Packet != want {
				t.Errorf("Find(%s) = %+v, %v, want a packet of %d bytes", address, got, err, want)
			}
		}
	}
}
