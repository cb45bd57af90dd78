package housework

// The two directions of the statuses: the service uses the one, the client the other.
var (
	ToStatus   = toStatus
	FromStatus = fromStatus
)
