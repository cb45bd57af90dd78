package unixauth

import (
	"errors"
	"net"
	"slices"
	"strconv"
)

// ErrNoCred is wrapped by the errors of a connection that has no peer credentials: one
// that is no Unix stream, nil, or closed.
var ErrNoCred = errors.New("no peer credentials")

// noID is no user and no group: the kernel returns it for a socket without a peer.
const noID = 1<<32 - 1

// maxLoggedGroups is how many groups String shows, so that a record of a log stays a
// line.
const maxLoggedGroups = 32

// Cred is who connected, as the kernel recorded it. The zero value is nobody: it
// claims no groups and no process, and a [Policy] refuses it.
//
// A Cred may be copied, and shared by goroutines that do not change it.
type Cred struct {
	// UID is the effective user id of the process, and GID its effective group id.
	UID, GID uint32

	// known is set for what the kernel told us, so that a zero Cred is not root.
	known bool
	// groupsKnown says whether the kernel told the groups.
	groupsKnown bool
	groups      []uint32
	pid         int32
}

// NewCred returns the credentials of a process with these ids, for tests of policies, and
// for services that learn them in another way.
func NewCred(uid, gid uint32, groups ...uint32) Cred {
	return Cred{UID: uid, GID: gid, known: true, groupsKnown: true, groups: slices.Clone(groups)}
}

// PeerCred returns the credentials of the peer of conn, which must be a connected Unix
// stream or packet socket, or wrap one and have the method NetConn() net.Conn, as a
// *tls.Conn has. It leaves the connection as it was.
//
// The error wraps [ErrNoCred] if conn is something else, and also net.ErrClosed if it
// is closed and [errors.ErrUnsupported] where the system has no peer credentials.
func PeerCred(conn net.Conn) (Cred, error) { return peerCred(conn) }

// PID returns the id that the process had when it connected. It reports false if that is
// not known, as of a process in a pid namespace that this one does not see into.
func (c Cred) PID() (int, bool) { return int(c.pid), c.pid > 0 }

// Groups returns the supplementary groups of the process, in the kernel's order. The
// slice must not be changed. It reports false where the system does not tell them.
// Whether the primary group is among them is up to the system; HasGroup looks at both.
func (c Cred) Groups() ([]uint32, bool) { return c.groups, c.groupsKnown }

// HasGroup reports whether gid is the primary or a supplementary group.
func (c Cred) HasGroup(gid uint32) bool {
	return c.known && (c.GID == gid || slices.Contains(c.groups, gid))
}

// String returns the credentials for a log, such as "uid=1000 gid=100 groups=4,24 pid=77".
// Of very many groups it shows the first, and how many more there are.
func (c Cred) String() string {
	if !c.known {
		return "unknown"
	}
	b := strconv.AppendUint([]byte("uid="), uint64(c.UID), 10)
	b = strconv.AppendUint(append(b, " gid="...), uint64(c.GID), 10)
	if !c.groupsKnown {
		b = append(b, " groups=unknown"...)
	} else if len(c.groups) > 0 {
		b = append(b, " groups"...)
	}
	separator := byte('=')
	shown := c.groups[:min(len(c.groups), maxLoggedGroups)]
	for _, gid := range shown {
		b = strconv.AppendUint(append(b, separator), uint64(gid), 10)
		separator = ','
	}
	if more := len(c.groups) - len(shown); more > 0 {
		b = strconv.AppendInt(append(b, " +"...), int64(more), 10)
	}
	if pid, ok := c.PID(); ok {
		b = strconv.AppendInt(append(b, " pid="...), int64(pid), 10)
	}
	return string(b)
}
