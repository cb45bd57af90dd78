package echo

// IsOwn reports whether a socket is bound to one unicast address of this host.
var IsOwn = isOwn
