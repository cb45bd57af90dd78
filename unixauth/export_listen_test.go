//go:build linux || darwin || freebsd

package unixauth

import "io/fs"

// Adorn gives the file of a socket that was just bound its mode and owner.
func Adorn(path string, mode fs.FileMode, uid, gid int) error {
	_, err := adorn(path, mode, owner{uid, gid})
	return err
}
