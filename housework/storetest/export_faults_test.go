package storetest

import (
	"context"
	"errors"

	"github.com/netparts/netparts/housework"
)

// Fault returns what one part of Run finds.
func Fault(ctx context.Context, name string, open func() housework.Store) error {
	for _, p := range parts {
		if p.name == name {
			return p.run(ctx, open())
		}
	}
	panic("no part " + name)
}

// DurableFault returns what one part of RunDurable finds.
func DurableFault(ctx context.Context, name string, fresh func() (open func() housework.Store)) error {
	for _, p := range durableParts {
		if p.name == name {
			return p.run(ctx, fresh())
		}
	}
	panic("no part " + name)
}

// Faults returns what all parts of both find.
func Faults(ctx context.Context, fresh func() (open func() housework.Store)) error {
	var faults []error
	for _, p := range parts {
		faults = append(faults, p.run(ctx, fresh()()))
	}
	for _, p := range durableParts {
		faults = append(faults, p.run(ctx, fresh()))
	}
	return errors.Join(faults...)
}

// PartNames returns the names of the parts of Run and of RunDurable.
func PartNames() (names, durable []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	for _, p := range durableParts {
		durable = append(durable, p.name)
	}
	return names, durable
}
