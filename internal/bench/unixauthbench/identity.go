//go:build linux

package unixauthbench

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/netparts/netparts/internal/bench/lab"
)

// An identity is who a client is.
type identity struct {
	UID, GID uint32
	Groups   []uint32
	Other    bool // than this process, so that the client has to become it
}

// someUser is in the user database of most systems, and nobody works as it.
const someUser = "daemon"

// client returns who clients are: another user with five groups, as os/user remembers the
// entry of this process's own; or this process's own, if it is not root.
func client(t *lab.T) identity {
	if os.Geteuid() != 0 || !mapsAll() {
		groups, err := os.Getgroups()
		t.Fatal(err)
		return identity{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Groups: numbers(groups)}
	}
	who := identity{UID: 1, GID: 1, Groups: []uint32{60001, 60002, 60003, 60004, 60005}, Other: true}
	if u, err := user.Lookup(someUser); err == nil {
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		t.Fatal(err)
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		t.Fatal(err)
		who.UID, who.GID = uint32(uid), uint32(gid)
	}
	return who
}

// mapsAll reports whether the user namespace has the groups that clients are to have. Where
// it does not, root may not become another user.
func mapsAll() bool {
	text, err := os.ReadFile("/proc/self/gid_map")
	if err != nil {
		return true // without user namespaces there is no such file
	}
	sum := 0
	for line := range strings.Lines(string(text)) {
		var inside, outside, count int
		if _, err := fmt.Sscan(line, &inside, &outside, &count); err == nil {
			sum += count
		}
	}
	return sum >= 1<<16
}

func numbers(ids []int) []uint32 {
	list := make([]uint32, len(ids))
	for i, id := range ids {
		list[i] = uint32(id)
	}
	return list
}

// foreignGroup returns a group that it does not have.
func (i *identity) foreignGroup() uint32 {
	gid := uint32(60101)
	for gid == i.GID || slices.Contains(i.Groups, gid) {
		gid++
	}
	return gid
}

// become has this process be somebody else from now on.
func (i *identity) become() error {
	if !i.Other {
		return nil
	}
	groups := make([]int, len(i.Groups))
	for k, gid := range i.Groups {
		groups[k] = int(gid)
	}
	err := errors.Join(syscall.Setgroups(groups), syscall.Setgid(int(i.GID)), syscall.Setuid(int(i.UID)))
	if err != nil {
		return fmt.Errorf("becoming user %d: %w", i.UID, err)
	}
	return nil
}

// inDatabase reports whether the user database lists the group for the user.
func inDatabase(uid, gid uint32) (bool, error) {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return false, err
	}
	groups, err := u.GroupIds()
	return slices.Contains(groups, strconv.FormatUint(uint64(gid), 10)), err
}

// needDatabase gives the side of the database up if that does not know the user, as in some
// containers.
func needDatabase(t *lab.T, who *identity) {
	if !t.Has(sideDatabase) {
		return
	}
	if ok, err := inDatabase(who.UID, who.GID); err != nil {
		t.GiveUp(sideDatabase, "%v", err)
	} else if !ok {
		t.GiveUp(sideDatabase, "it does not list group %d for user %d, who is the client", who.GID, who.UID)
	}
}
