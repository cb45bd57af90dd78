package unixauth

import "golang.org/x/sys/unix"

// peerPID returns the process id of the peer of a Unix socket, or 0.
func peerPID(fd int) int32 {
	pid, err := unix.GetsockoptInt(fd, solLocal, unix.LOCAL_PEERPID)
	if err != nil {
		return 0 // the peer has closed its end
	}
	return int32(pid)
}
