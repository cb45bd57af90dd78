//go:build linux

package lab

import (
	"bufio"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// ThisMachine tells what figures belong to: the processor, the system, and the versions of
// the peers of the parts.
func ThisMachine(parts []Part) Machine {
	m := Machine{
		Go: runtime.Version(), Processors: runtime.NumCPU(), Processor: processor(),
		Versions: make(map[string]string), Missing: make(map[string]string),
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		m.System = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err == nil {
		m.Memory = int64(s.Totalram) * int64(s.Unit)
	}
	modules := make(map[string]string)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			modules[d.Path] = d.Version
		}
	}
	for i := range parts {
		for _, p := range parts[i].Peers {
			switch {
			case p.Module != "":
				m.Versions[p.Name] = strings.TrimSpace(p.Module + " " + modules[p.Module])
			case p.Version != nil:
				if v, err := p.Version(); err != nil {
					m.Missing[p.Name] = err.Error()
				} else {
					m.Versions[p.Name] = v
				}
			}
		}
	}
	return m
}

// processor is the name of the first one, or empty.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
