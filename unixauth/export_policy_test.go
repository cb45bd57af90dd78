package unixauth

// NewPolicyInNamespace is NewPolicy in a user namespace that maps 65534 to whom it does
// not know.
func NewPolicyInNamespace(rules ...Rule) (*Policy, error) {
	return newPolicy(overflowIDs{uid: 65534, gid: 65534}, rules)
}

// MapsAll reports whether the map of a user namespace has all ids.
var MapsAll = mapsAll
