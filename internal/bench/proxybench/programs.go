//go:build linux

package proxybench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"

	"github.com/netparts/netparts/internal/bench/lab"
)

// The sides that are programs, with two threads or two processes.
const (
	haproxy       = "haproxy"
	haproxySplice = "haproxy-splice" // with options splice-request and splice-response
	nginx         = "nginx"
)

// nginxStream is the part of nginx that relays, in a package of its own.
const nginxStream = "/usr/lib/nginx/modules/ngx_stream_module.so"

// A program is how a proxy is called and configured.
type program struct {
	name, packages string
	needs          string // a file, or nothing
	args           []string
	config         func(s site) string
	unix           string // what goes before the path of a socket
	children       int
}

// A site is what a program's configuration is made for.
type site struct {
	listen, upstream, dir string
	pairs                 int // how many there may be at once
}

var programs = map[string]program{
	haproxy: {
		name: "haproxy", packages: "haproxy", args: []string{"-q", "-db", "-f"},
		config: func(s site) string { return haproxyConfig(s, "") }, unix: "unix@",
	},
	haproxySplice: {
		name: "haproxy", packages: "haproxy", args: []string{"-q", "-db", "-f"},
		config: func(s site) string { return haproxyConfig(s, "option splice-request\n\toption splice-response") }, unix: "unix@",
	},
	nginx: {
		name: "nginx", packages: "nginx-light libnginx-mod-stream", needs: nginxStream,
		args: []string{"-e", "stderr", "-c"}, config: nginxConfig, unix: "unix:", children: 2,
	},
}

func haproxyConfig(s site, option string) string {
	return fmt.Sprintf(`global
	maxconn %d
	nbthread 2
defaults
	mode tcp
	timeout connect 10s
	timeout client 1h
	timeout server 1h
	%s
listen proxy
	bind %s
	server upstream %s
`, s.pairs, option, s.listen, s.upstream)
}

func nginxConfig(s site) string {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // which another user must not say
	}
	// One of the workers may get all clients.
	files := min(2*s.pairs+200, fileLimit())
	return fmt.Sprintf(`load_module %s;
daemon off;
%s
worker_processes 2;
worker_rlimit_nofile %d;
pid %s/pid;
error_log stderr crit;
events { worker_connections %d; }
stream {
	server {
		listen %s;
		proxy_pass %s;
		proxy_timeout 1h;
	}
}
`, nginxStream, user, files, s.dir, files, s.listen, s.upstream)
}

// fileLimit is how many files a process of this user can have open.
func fileLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(limit.Max, 1<<20))
}

// path returns where the program is, or an error that says what to install.
func (p *program) path() (string, error) {
	path, err := exec.LookPath(p.name)
	if err == nil && p.needs != "" {
		_, err = os.Stat(p.needs)
	}
	if err != nil {
		return "", fmt.Errorf("it is not installed: apt-get install %s", p.packages)
	}
	return path, nil
}

var number = regexp.MustCompile(`\d+\.\d+\S*`)

// version returns what the program says of itself.
func (p *program) version() (string, error) {
	path, err := p.path()
	if err != nil {
		return "", err
	}
	text, err := exec.Command(path, "-v").CombinedOutput()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s", p.name, number.Find(text)), nil
}

// startProgram starts a proxy that is a program, for so many pairs at once.
func startProgram(t *lab.T, side, network, upstream string, pairs int) (*lab.Process, error) {
	p := programs[side]
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	s := site{upstream: upstream, dir: t.TempDir(), pairs: pairs}
	addr := filepath.Join(s.dir, "proxy")
	s.listen = p.unix + addr
	if network == "unix" {
		s.upstream = p.unix + upstream
	} else {
		if addr, err = lab.FreePort(network); err != nil {
			return nil, err
		}
		s.listen = addr
	}
	config := filepath.Join(s.dir, "config")
	if err := os.WriteFile(config, []byte(p.config(s)), 0o644); err != nil {
		return nil, err
	}
	return t.RunProgram(lab.Program{
		Kind: side, Path: path, Args: append(slices.Clip(p.args), config),
		Network: network, Addr: addr, Children: p.children,
	})
}
