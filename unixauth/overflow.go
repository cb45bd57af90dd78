package unixauth

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

var (
	errOverflow = errors.New("this number stands for all whom a user namespace does not map")
	errNoID     = errors.New("no user or group has this number")
)

// overflowIDs are the ids that stand for all users and groups whom a user namespace does
// not map, or noID if there are none. See user_namespaces(7).
type overflowIDs struct{ uid, gid uint32 }

// readOverflow returns those of the namespace that this process is in. Systems other than
// Linux have no such namespaces.
func readOverflow() overflowIDs {
	if runtime.GOOS != "linux" {
		return overflowIDs{noID, noID}
	}
	return overflowIDs{
		uid: overflowID("/proc/self/uid_map", "/proc/sys/kernel/overflowuid"),
		gid: overflowID("/proc/self/gid_map", "/proc/sys/kernel/overflowgid"),
	}
}

// overflowID returns the number in a file, or the kernel's default for it. In a namespace
// that maps every id, as the first one does, it is the number of one user, as others are.
func overflowID(mapPath, path string) uint32 {
	if mapsAll(mapPath) {
		return noID
	}
	const usual = 65534
	b, err := os.ReadFile(path)
	if err != nil {
		return usual
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	if err != nil {
		return usual
	}
	return uint32(id)
}

// mapsAll reports whether a map is known to have all ids, from 0 to before noID. Each of
// its lines has the first id inside, the first outside, and how many there are; they do
// not overlap.
func mapsAll(path string) bool {
	b, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	var sum uint64
	for line := range strings.Lines(string(b)) {
		var inside, outside, count uint32
		if _, err := fmt.Sscan(line, &inside, &outside, &count); err != nil {
			return false
		}
		sum += uint64(count)
	}
	return sum == noID
}

// checkUID returns an error if no rule may name uid.
func (o overflowIDs) checkUID(uid uint32) error {
	switch uid {
	case noID:
		return fmt.Errorf("uid %d: %w", uid, errNoID)
	case o.uid:
		return fmt.Errorf("uid %d: %w", uid, errOverflow)
	}
	return nil
}

// checkGID returns an error if no rule may name gid.
func (o overflowIDs) checkGID(gid uint32) error {
	switch gid {
	case noID:
		return fmt.Errorf("gid %d: %w", gid, errNoID)
	case o.gid:
		return fmt.Errorf("gid %d: %w", gid, errOverflow)
	}
	return nil
}
