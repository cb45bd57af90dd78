// Package unixauth makes Unix sockets that know who is at the other end, and let in
// only those who are allowed.
//
//	policy, err := unixauth.NewPolicy(unixauth.Groups("staff"), unixauth.Root())
//	if err != nil {
//		return err // no such group
//	}
//	l, err := unixauth.Listen("/run/chores.sock", unixauth.Options{Mode: 0o660, Group: "staff"})
//	if err != nil {
//		return err
//	}
//	srv := &http.Server{Handler: handler, ConnContext: unixauth.ConnContext}
//	return srv.Serve(&unixauth.Listener{Listener: l, Policy: policy})
//
// There are four parts, and each is of use alone: [PeerCred] asks the kernel who
// connected, a [Policy] says whether that is allowed, [Listen] makes a socket file
// that is never open wider than it was asked for, and a [Listener] is a net.Listener
// that hands out only the connections of peers whom its policy allows.
//
// # Whose credentials
//
// The kernel records the credentials of the process that called connect, or for the
// server's end of it, listen, at that moment. A process that connects as root and then
// gives its rights up still counts as root, and so does whoever it hands the
// descriptor to. The groups are those that the process had, which may be more or fewer
// than the user database says of its user: after newgrp, in a service with supplementary
// groups of its own, or where somebody was added to a group and has not logged in
// again. [DatabaseGroups] asks the database instead, for those who want that.
//
// A process id is decoration: the process may have ended, and another may bear its
// number. [PeerProcess] returns a descriptor that keeps meaning the same one. The name
// that a client's socket is bound to is chosen by the client, and says nothing.
//
// # User namespaces
//
// To a server in a user namespace that does not map every id, as those of most containers
// that have one, all users whom it does not map appear as one number, the overflow id (65534,
// "nobody"). No policy allows it there: a peer with that uid is refused, and that gid
// counts for nothing. A service whose peers run as nobody should give them a user of
// their own. Elsewhere nobody is a user as others are.
//
// # What it does not do
//
// It does not pass credentials or descriptors in messages (SCM_CREDENTIALS, SCM_RIGHTS),
// and knows nothing of datagram sockets, whose senders the kernel does not record on
// the socket. Linux has all of it. macOS and FreeBSD have no credentials of processes
// (pidfd) and no activation, and record at most 16 groups. Windows has no peer
// credentials, so everything that depends on them is an error that wraps
// [errors.ErrUnsupported], and nobody is let in.
package unixauth
