package unixauth

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// ErrDenied is what errors.Is finds in a [*DeniedError].
var ErrDenied = errors.New("unixauth: denied")

var errUnknownPeer = errors.New("its credentials are not known")

// DeniedError is the error of a peer whom a policy does not allow. It matches
// [ErrDenied] and [fs.ErrPermission].
type DeniedError struct {
	// Cred is who asked. It is the zero value if nothing is known of the peer.
	Cred Cred

	// Err is why it was denied, if there is more to say than that no rule allows it.
	// It may be nil.
	Err error
}

// Error implements error.
func (e *DeniedError) Error() string {
	s := "unixauth: denied: " + e.Cred.String()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *DeniedError) Unwrap() error { return e.Err }

// Is reports whether target is ErrDenied or fs.ErrPermission.
func (e *DeniedError) Is(target error) bool {
	return target == ErrDenied || target == fs.ErrPermission
}

// Policy says who is allowed. The zero value, and nil, allow nobody. A Policy does not
// change, and may be used by several goroutines.
type Policy struct {
	rule     Rule // without names
	overflow overflowIDs
}

// NewPolicy returns the policy that allows whom one of the rules allows. Names are looked
// up now, once: a name that is not in the user database is an error, which wraps
// [user.UnknownUserError] or [user.UnknownGroupError]; so is naming the overflow id, where there
// is one (see the package comment). The error has all such faults. To follow changes of the database make a new Policy.
func NewPolicy(rules ...Rule) (*Policy, error) { return newPolicy(readOverflow(), rules) }

func newPolicy(overflow overflowIDs, rules []Rule) (*Policy, error) {
	rule, err := Any(rules...).resolve(overflow)
	if err != nil {
		return nil, fmt.Errorf("unixauth: policy: %w", err)
	}
	return &Policy{rule: rule, overflow: overflow}, nil
}

// Check returns nil if the policy allows c, and otherwise a [*DeniedError].
func (p *Policy) Check(c Cred) error {
	if !c.known {
		return &DeniedError{Cred: c, Err: errUnknownPeer}
	}
	if p == nil {
		return &DeniedError{Cred: c}
	}
	if err := p.overflow.checkUID(c.UID); err != nil {
		return &DeniedError{Cred: c, Err: err}
	}
	ok, err := p.rule.allows(&c)
	if !ok {
		return &DeniedError{Cred: c, Err: err}
	}
	return nil
}

// blocks reports whether Check asks the user database, which may take long.
func (p *Policy) blocks() bool { return p != nil && p.rule.blocks() }

// allows reports whether a rule without names allows c. If it does not, the error is
// what kept it from knowing.
func (r *Rule) allows(c *Cred) (bool, error) {
	switch r.kind {
	case kindUIDs:
		return slices.Contains(r.ids, c.UID), nil
	case kindGIDs:
		return slices.ContainsFunc(r.ids, c.HasGroup), nil
	case kindDatabase:
		return inDatabase(c.UID, r.ids)
	case kindEveryone:
		return true, nil
	case kindAny:
		return r.anyAllows(c)
	case kindAll:
		return r.allAllow(c)
	}
	return false, nil
}

func (r *Rule) anyAllows(c *Cred) (bool, error) {
	var errs error
	for i := range r.rules {
		ok, err := r.rules[i].allows(c)
		if ok {
			return true, nil
		}
		errs = errors.Join(errs, err)
	}
	return false, errs
}

func (r *Rule) allAllow(c *Cred) (bool, error) {
	for i := range r.rules {
		if ok, err := r.rules[i].allows(c); !ok {
			return false, err
		}
	}
	return len(r.rules) > 0, nil
}

func (r *Rule) blocks() bool {
	return r.kind == kindDatabase || slices.ContainsFunc(r.rules, func(r Rule) bool { return r.blocks() })
}
