//go:build !windows && !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd

package housework

import (
	"errors"
	"os"
)

const noFollow = 0

// lockFile fails: without a lock the changes of two processes could be lost.
func lockFile(*os.File) (bool, error) { return false, errors.ErrUnsupported }
