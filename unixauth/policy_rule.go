package unixauth

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// Rule is a rule of a [Policy]. It is made by the functions that return one; the zero
// Rule allows nobody.
type Rule struct {
	kind  kind
	ids   []uint32
	names []string
	rules []Rule
}

// A kind is what a rule looks at.
type kind uint8

const (
	kindNobody   kind = iota
	kindUIDs          // ids
	kindGIDs          // ids
	kindUsers         // names; resolved, it is of kindUIDs
	kindGroups        // names; resolved, it is of kindGIDs
	kindDatabase      // names; resolved, ids
	kindSelf          // resolved, it is of kindUIDs
	kindEveryone      //
	kindAny           // rules
	kindAll           // rules
)

// UIDs allows the users with these numbers.
func UIDs(uids ...uint32) Rule { return Rule{kind: kindUIDs, ids: uids} }

// GIDs allows the processes that have one of these groups, as the primary group or a
// supplementary one.
func GIDs(gids ...uint32) Rule { return Rule{kind: kindGIDs, ids: gids} }

// Users allows the users with these names, or decimal numbers.
func Users(names ...string) Rule { return Rule{kind: kindUsers, names: names} }

// Groups allows the processes that have one of these groups, by name or decimal number, as
// the primary group or a supplementary one.
func Groups(names ...string) Rule { return Rule{kind: kindGroups, names: names} }

// DatabaseGroups allows the users whom the user database lists in one of these groups,
// whatever groups the process has. The database is asked each time, which takes
// tens to hundreds of microseconds with files, and as long as it takes with a
// directory service. A user who is not in the database is not allowed, but for one: of the
// user of this process os/user may take the name from $USER, in programs without cgo.
func DatabaseGroups(names ...string) Rule { return Rule{kind: kindDatabase, names: names} }

// Self allows the user that this process runs as (its effective uid).
func Self() Rule { return Rule{kind: kindSelf} }

// Root allows user 0.
func Root() Rule { return UIDs(0) }

// Everyone allows everyone whose credentials are known, for services that want to know
// who it is rather than to refuse.
func Everyone() Rule { return Rule{kind: kindEveryone} }

// Any allows whom one of the rules allows. Without rules it allows nobody.
func Any(rules ...Rule) Rule { return Rule{kind: kindAny, rules: rules} }

// All allows whom all of the rules allow. Without rules it allows nobody.
func All(rules ...Rule) Rule { return Rule{kind: kindAll, rules: rules} }

// resolve returns the rule with numbers for names. It shares no slice with r, which is
// its maker's to change.
func (r Rule) resolve(overflow overflowIDs) (Rule, error) {
	switch r.kind {
	case kindUIDs:
		return numbers(kindUIDs, r.ids, overflow.checkUID)
	case kindGIDs:
		return numbers(kindGIDs, r.ids, overflow.checkGID)
	case kindUsers:
		return named(kindUIDs, r.names, lookupUser, overflow.checkUID)
	case kindGroups:
		return named(kindGIDs, r.names, lookupGroup, overflow.checkGID)
	case kindDatabase:
		return named(kindDatabase, r.names, lookupGroup, overflow.checkGID)
	case kindSelf:
		// In a namespace that does not map it, this is the overflow id.
		return numbers(kindUIDs, []uint32{uint32(os.Geteuid())}, overflow.checkUID)
	case kindAny, kindAll:
		return r.resolveRules(overflow)
	}
	return r, nil
}

// numbers returns a rule of ids, each of which check must pass.
func numbers(k kind, ids []uint32, check func(uint32) error) (Rule, error) {
	var errs []error
	for _, id := range ids {
		errs = append(errs, check(id))
	}
	return Rule{kind: k, ids: slices.Clone(ids)}, errors.Join(errs...)
}

// named returns a rule of the ids that the names mean, each of which check must pass.
func named(k kind, names []string, lookup func(string) (uint32, error), check func(uint32) error) (Rule, error) {
	r := Rule{kind: k}
	var errs []error
	for _, name := range names {
		id, err := lookup(name)
		if err == nil {
			err = check(id)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", name, err))
		}
		r.ids = append(r.ids, id)
	}
	return r, errors.Join(errs...)
}

// resolveRules resolves the parts of Any and All. Those that ask the database come last, so
// that it is asked only if the others do not decide.
func (r Rule) resolveRules(overflow overflowIDs) (Rule, error) {
	resolved := Rule{kind: r.kind}
	var slow []Rule
	var errs []error
	for _, part := range r.rules {
		part, err := part.resolve(overflow)
		errs = append(errs, err)
		if part.blocks() {
			slow = append(slow, part)
		} else {
			resolved.rules = append(resolved.rules, part)
		}
	}
	resolved.rules = append(resolved.rules, slow...)
	return resolved, errors.Join(errs...)
}
