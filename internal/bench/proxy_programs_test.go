//go:build linux

package bench

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/interop"
)

// The proxies that are programs, with two threads or two processes.
const (
	kindHAProxy       = "haproxy"
	kindHAProxySplice = "haproxy-splice" // with option splice-auto
	kindNginx         = "nginx"
)

// nginxStream is the part of nginx that relays, in a package of its own.
const nginxStream = "/usr/lib/nginx/modules/ngx_stream_module.so"

// A program is how a proxy is called and configured.
type program struct {
	name, packages string
	needs          string // a file, or nothing
	args           []string
	config         string // with %[1]s and %[2]s where it listens and connects, and %[3]s for a folder
	unix           string // what goes before the path of a socket
}

const (
	haproxyDefaults = `global
	maxconn 5000
	nbthread 2
defaults
	mode tcp
	timeout connect 10s
	timeout client 1h
	timeout server 1h
`
	haproxyListen = `listen proxy
	bind %[1]s
	server upstream %[2]s
`
)

const nginxConfig = `load_module ` + nginxStream + `;
daemon off;
user root;
worker_processes 2;
pid %[3]s/pid;
error_log stderr crit;
events { worker_connections 10000; }
stream {
	server {
		listen %[1]s;
		proxy_pass %[2]s;
		proxy_timeout 1h;
	}
}
`

var programs = map[string]program{
	kindHAProxy: {
		name: "haproxy", packages: "haproxy", args: []string{"-q", "-db", "-f"},
		config: haproxyDefaults + haproxyListen, unix: "unix@",
	},
	kindHAProxySplice: {
		name: "haproxy", packages: "haproxy", args: []string{"-q", "-db", "-f"},
		config: haproxyDefaults + "\toption splice-auto\n" + haproxyListen, unix: "unix@",
	},
	kindNginx: {
		name: "nginx", packages: "nginx-light libnginx-mod-stream", needs: nginxStream,
		args: []string{"-e", "stderr", "-c"}, config: nginxConfig, unix: "unix:",
	},
}

// path returns where the program is, or an error that says what to install.
func (p *program) path() (string, error) {
	path, err := exec.LookPath(p.name)
	if err == nil && p.needs != "" {
		_, err = os.Stat(p.needs)
	}
	if err != nil {
		return "", fmt.Errorf("no %s: apt-get install %s", p.name, p.packages)
	}
	return path, nil
}

// installed leaves out the programs that this machine lacks.
func installed(b *testing.B, kinds ...string) (list []string) {
	b.Helper()
	for _, kind := range kinds {
		if p, ok := programs[kind]; ok {
			if _, err := p.path(); err != nil {
				if interop.Required() {
					b.Fatal(err)
				}
				b.Logf("without %s: %v", kind, err)
				continue
			}
		}
		list = append(list, kind)
	}
	return list
}

// startProgram starts a proxy that is a program.
func startProgram(b *testing.B, kind, network, upstream string) *process {
	b.Helper()
	p := programs[kind]
	path, err := p.path()
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	addr, at := filepath.Join(dir, "proxy"), ""
	if network == "unix" {
		at, upstream = p.unix+addr, p.unix+upstream
	} else {
		if addr, err = freePort(network); err != nil {
			b.Fatal(err)
		}
		at = addr
	}
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, fmt.Appendf(nil, p.config, at, upstream, dir), 0o644); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(path, append(slices.Clip(p.args), config)...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // some make an error of the signal, and what goes wrong they print
	}()
	b.Cleanup(func() { endProgram(b, cmd, ended) })
	await(b, network, addr, ended)
	return &process{kind: kind, addr: addr, pid: cmd.Process.Pid, pids: childrenOf(b, cmd.Process.Pid)}
}

// endProgram asks the program to end, and kills it if it does not.
func endProgram(b *testing.B, cmd *exec.Cmd, ended <-chan struct{}) {
	b.Helper()
	_ = cmd.Process.Signal(syscall.SIGTERM) // an error says that it has ended
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		b.Errorf("%s does not end", cmd.Path)
		_ = cmd.Process.Kill()
		<-ended
	}
}

// await waits until something listens.
func await(b *testing.B, network, addr string, ended <-chan struct{}) {
	b.Helper()
	var err error
	for range 1000 {
		var conn net.Conn
		if conn, err = net.Dial(network, addr); err == nil {
			conn.Close()
			return
		}
		select {
		case <-ended:
			b.Fatal("the proxy has ended")
		case <-time.After(10 * time.Millisecond):
		}
	}
	b.Fatal(err)
}

// childrenOf returns the processes that a process has started.
func childrenOf(b *testing.B, pid int) (pids []int) {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		b.Fatal(err)
	}
	for field := range strings.FieldsSeq(string(text)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		pids = append(pids, child)
	}
	return pids
}
