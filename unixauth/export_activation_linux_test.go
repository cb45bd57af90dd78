package unixauth

// ParseActivation returns how many descriptors the variables pass on to a process, and
// their names.
func ParseActivation(fds, listenPID, pidfdID, names string, pid int, id uint64) (int, []string, error) {
	return environment{fds, listenPID, pidfdID, names}.parse(pid, id)
}

// OwnID returns the inode of this process's pidfd.
var OwnID = ownID
