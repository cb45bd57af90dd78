package unixauth

import (
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"slices"
	"strconv"
)

// lookupUser returns the number of a user: of the database, or the name itself if that is
// a number.
func lookupUser(name string) (uint32, error) {
	u, err := user.Lookup(name)
	if err == nil {
		return parseID(u.Uid)
	}
	return number(name, err, user.UnknownUserError(name))
}

// lookupGroup returns the number of a group, as lookupUser that of a user.
func lookupGroup(name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if err == nil {
		return parseID(g.Gid)
	}
	return number(name, err, user.UnknownGroupError(name))
}

// number returns the number that a name is which the database does not have: err says
// so, or what else went wrong. A machine may do without a database, as many containers.
func number(name string, err, unknown error) (uint32, error) {
	if errors.Is(err, fs.ErrNotExist) {
		err = unknown
	}
	if errors.Is(err, unknown) {
		if id, parseErr := parseID(name); parseErr == nil {
			return id, nil
		}
	}
	return 0, err
}

// parseID parses a number as the database has it.
func parseID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	if err != nil { // on Windows, where users have no numbers
		return 0, fmt.Errorf("the id %q is no number: %w", s, errors.ErrUnsupported)
	}
	return uint32(id), nil
}

// inDatabase reports whether the user database lists a user in one of the groups.
func inDatabase(uid uint32, gids []uint32) (bool, error) {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return false, fmt.Errorf("user database: %w", err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return false, fmt.Errorf("user database: groups of %q: %w", u.Username, err)
	}
	return slices.ContainsFunc(ids, func(s string) bool {
		id, err := parseID(s)
		return err == nil && slices.Contains(gids, id)
	}), nil
}
