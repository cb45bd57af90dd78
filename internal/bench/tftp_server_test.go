//go:build unix

package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	pack "pack.ag/tftp"

	pin "github.com/pin/tftp/v3"

	"github.com/netparts/netparts/tftp"
)

// Servers run in processes of their own, so that what they use can be told from
// what the client uses: the program starts itself with this variable.
const serverVariable = "NETPARTS_BENCH_SERVER"

func TestMain(m *testing.M) {
	if kind := os.Getenv(serverVariable); kind != "" {
		if err := serveTFTP(kind); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// A usage is what a server process has used so far.
type usage struct {
	CPU            time.Duration
	Mallocs, Bytes uint64
}

func used() usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{cpuTime(), m.Mallocs, m.TotalAlloc}
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err) // which has no way to fail
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// serveTFTP is the server process: it prints its address, answers each line on
// the standard input with its usage, and ends with the input.
func serveTFTP(kind string) error {
	size, err := strconv.Atoi(os.Getenv(serverVariable + "_SIZE"))
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- serveKind(kind, conn, content(size)) }()
	fmt.Println(conn.LocalAddr())
	answers := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := answers.Encode(used()); err != nil {
			return err
		}
	}
	select {
	case err := <-ended:
		return err
	default:
		return nil
	}
}

// content is the file that is served, which differs everywhere.
func content(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i ^ i>>8*31 ^ i>>16*17)
	}
	return b
}

func serveKind(kind string, conn *net.UDPConn, file []byte) error {
	switch kind {
	case "ours", "ours-single":
		s := tftp.Server{Open: tftp.Payload(file), SinglePort: kind == "ours-single", MaxPerPeer: -1, MaxTransfers: -1}
		return s.Serve(conn)
	case "pin":
		s := pin.NewServer(func(_ string, r io.ReaderFrom) error {
			_, err := r.ReadFrom(bytes.NewReader(file))
			return err
		}, nil)
		return s.Serve(conn)
	case "pack":
		s, err := pack.NewServer("127.0.0.1:0")
		if err != nil {
			return err
		}
		s.ReadHandler(pack.ReadHandlerFunc(func(r pack.ReadRequest) {
			r.WriteSize(int64(len(file)))
			if _, err := r.Write(file); err != nil {
				r.WriteError(pack.ErrCodeNotDefined, err.Error())
			}
		}))
		return s.Serve(conn)
	case "pingpong":
		return pingPong(conn, file)
	}
	return fmt.Errorf("no server is called %q", kind)
}

// pingPong answers a request, which says the block size, with the blocks of the file
// and nothing of a protocol: each side writes to and reads from a connected socket.
func pingPong(conn *net.UDPConn, file []byte) error {
	request := make([]byte, 100)
	for {
		n, peer, err := conn.ReadFromUDPAddrPort(request)
		if err != nil {
			return err
		}
		size, err := strconv.Atoi(string(request[:n]))
		if err != nil {
			return err
		}
		out, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, net.UDPAddrFromAddrPort(peer))
		if err != nil {
			return err
		}
		if _, err := conn.WriteToUDPAddrPort([]byte(out.LocalAddr().String()), peer); err != nil {
			return err
		}
		packet, ack := make([]byte, 4+size), make([]byte, 10)
		if _, err = out.Read(ack); err == nil { // the client is connected
			for rest := file; err == nil && len(rest) > 0; {
				k := copy(packet[4:], rest)
				rest = rest[k:]
				if _, err = out.Write(packet[:4+k]); err == nil {
					_, err = out.Read(ack)
				}
			}
		}
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
}

// A serverProcess is a server of some kind.
type serverProcess struct {
	addr  string
	stdin io.WriteCloser
	lines *bufio.Reader
}

// startServer starts a server that runs until the benchmark ends.
func startServer(b *testing.B, kind string, size int) *serverProcess {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self) // which ends with its input
	cmd.Env = append(os.Environ(), serverVariable+"="+kind, fmt.Sprintf("%s_SIZE=%d", serverVariable, size))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(stdin.Close(), cmd.Wait()); err != nil {
			b.Errorf("server %s: %v", kind, err)
		}
	})
	s := &serverProcess{stdin: stdin, lines: bufio.NewReader(stdout)}
	line, err := s.lines.ReadString('\n')
	if err != nil {
		b.Fatalf("server %s: %v", kind, err)
	}
	s.addr = netip.MustParseAddrPort(line[:len(line)-1]).String()
	return s
}

// used asks the server for what it has used.
func (s *serverProcess) used(b *testing.B) (u usage) {
	b.Helper()
	if _, err := io.WriteString(s.stdin, "\n"); err != nil {
		b.Fatal(err)
	}
	line, err := s.lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &u)
	}
	if err != nil {
		b.Fatal(err)
	}
	return u
}
