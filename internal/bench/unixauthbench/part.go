//go:build linux

// Package unixauthbench measures package unixauth.
package unixauthbench

import (
	"github.com/netparts/netparts/internal/bench/lab"
)

// The sides besides ours.
const (
	sideCalls    = "two getsockopt"
	sideDatabase = "user database"
	sideHand     = "by hand"
	sidePlain    = "net.UnixListener"
)

// Part is what is measured.
func Part() lab.Part {
	return lab.Part{
		Name: "unixauth",
		Job:  "who is at the other end of a Unix socket, and whether that is allowed",
		Peers: []lab.Peer{
			{
				Name: sideCalls,
				What: "SO_PEERCRED and SO_PEERGROUPS as bare system calls, into memory that is there: what any way to " +
					"ask the kernel costs at the least",
			},
			{
				Name: sideDatabase,
				What: "SO_PEERCRED for the user, and package os/user for the groups that the user database lists for it, " +
					"for each connection",
				Version: func() (string, error) { return "os/user " + databaseWay, nil },
			},
			{Name: sideHand, What: "the same rule as comparisons in a function, without a policy"},
			{Name: sidePlain, What: "the listener of package net, which lets everybody in"},
		},
		Cases:      []lab.Case{credentials(), database(), check(), accepting(), refusing(), idle()},
		Growths:    []lab.Growth{growth()},
		Conclusion: conclusion,
		Child:      obeyOrders,
	}
}

const conclusion = `- To ask the kernel for the groups of a peer is about ten (without cgo) to a hundred times cheaper than to look its user up in the user database, and
  it is the better answer: what the process has, not what its user could have. Where the database is what counts,
  as with a directory service that revokes groups at once, its price has to be paid (` + "`DatabaseGroups`" + ` does so, off the accept loop).
- Nearly all of what ` + "`PeerCred`" + ` costs are its two system calls. Own code with the same two calls saves a tenth or two, and
  code that needs the user id alone saves half of it: ` + "`unix.GetsockoptUcred`" + ` is enough there.
- A ` + "`Policy`" + ` costs some nanoseconds more than the comparisons that it stands for, which no connection notices.
- A ` + "`Listener`" + ` adds the credentials and a hand-over between two goroutines to each connection, and nothing to its bytes
  after that. A plain listener is cheaper, and lets everybody in; a service whose socket file's mode says
  enough does not need more than it. To refuse a peer takes a fraction of what it takes where the database is asked.
- An accepted connection costs the same beside ten thousand open ones as beside one, with each of the listeners.
`
