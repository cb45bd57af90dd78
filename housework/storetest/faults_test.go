package storetest_test

import (
	"strconv"
	"testing"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/housework/storetest"
)

// faults are, for each part of Run, those that it finds. Other parts may find them
// as well.
var faults = map[string][]string{
	"an empty list": {"opens with a chore more"},
	"the order of adds": {
		"reverses", "loses what comes fifth", "numbers from 0", "numbers the last", "adds as not done", "lists what was",
	},
	"texts":                       {"trims texts", "takes a byte less"},
	"adds of nothing":             {"remembers adds of nothing", "numbers adds of nothing with 0"},
	"slices of callers":           {"keeps the caller's slice", "marks the caller's chores"},
	"invalid adds":                {"takes any text", "takes empty descriptions", "takes a byte too much", "takes what is not UTF-8", "takes any id", "numbers invalid chores from 0", "adds up to the invalid chore", "remembers invalid adds"},
	"a request again":             {"ignores ids", "remembers the last request only", "compares also what is done", "tells the next number when asked again", "takes back what is done when asked again"},
	"a request for other chores":  {"compares counts only", "compares without case", "does not compare", "takes parts of requests", "takes requests that go on", "compares joined texts"},
	"a request of several chores": {"remembers the last request only"},
	"names of requests":           {"knows ids without case", "cuts ids", "trims ids"},
	"a request at once":           {"is called a second time meanwhile"},
	"ids of chores":               {"uses ids of chores"},
	"complete":                    {"toggles", "refuses what is done", "completes the first of several", "has no chore 0 where nothing is completed", "loses what is completed third"},
	"complete of unknown numbers": {"completes 0", "completes the next", "completes what is beyond", "cuts numbers", "completes up to the unknown one", "says which place is unknown", "does not say which is unknown"},
	"pages":                       {"has one chore more on pages", "has no short pages", "overlaps pages", "has no pages beyond the end", "computes the end"},
	"invalid pages":               {"lists from 0", "has a default for limit"},
	"pages are copies":            {"lists its own slice", "lists its own slice for once"},
	"writers at once":             {"adds one by one"},
	"completers at once":          {"completes a copy", "loses what is completed third"},
	"readers of a growing list":   {"adds one by one", "lists what was"},
	"ended contexts": {
		"adds although the context has ended", "adds, and says that the context has ended",
		"completes although the context has ended", "lists although the context has ended",
	},
	"contexts that end meanwhile": {"forgets calls whose context ends", "loses what is completed third"},
	"closed":                      {"stays open", "adds when closed", "adds nothing when closed", "completes nothing when closed", "is closed once", "panics when closed again"},
	"closed under use":            {"stays open", "fails when closed meanwhile"},
	"closed at once":              {"closes slowly"},
}

// durableFaults are those for the parts of RunDurable.
var durableFaults = map[string][]string{
	"opened again":                 {"opens without what is done", "opens with a chore more", "opens a copy", "loses the last add when closed"},
	"opened again and again":       {"opens without what is done", "loses the last add when closed"},
	"requests after opening again": {"opens without requests", "opens with requests cut"},
	"opened twice":                 {"opens a copy"},
	"requests by two":              {"is called a second time meanwhile", "opens a copy"},
	"writers of two":               {"adds one by one", "completes a copy", "opens a copy"},
	"closed while writing":         {"loses the last add when closed", "opens without requests"},
}

func TestFaultsAreFound(t *testing.T) {
	for part, faults := range faults {
		for _, fault := range faults {
			if fault == "cuts numbers" && strconv.IntSize == 32 {
				continue // there is nothing to cut
			}
			t.Run(part+"/"+fault, func(t *testing.T) {
				wantFound(t, func() error {
					return storetest.Fault(t.Context(), part, func() housework.Store { return newFaulty(fault) })
				})
			})
		}
	}
}

func TestDurableFaultsAreFound(t *testing.T) {
	for part, faults := range durableFaults {
		for _, fault := range faults {
			t.Run(part+"/"+fault, func(t *testing.T) {
				wantFound(t, func() error {
					return storetest.DurableFault(t.Context(), part, func() func() housework.Store { return disk(fault) })
				})
			})
		}
	}
}

// A part that finds nothing would not be missed.
func TestEachPartFindsSomething(t *testing.T) {
	names, durable := storetest.PartNames()
	for _, name := range names {
		if len(faults[name]) == 0 {
			t.Errorf("no store has a fault for %q", name)
		}
	}
	for _, name := range durable {
		if len(durableFaults[name]) == 0 {
			t.Errorf("no store has a fault for %q", name)
		}
	}
}

// wantFound runs a part until it finds the fault. Some faults show only when
// goroutines meet, which they do not always.
func wantFound(t *testing.T, part func() error) {
	t.Helper()
	const tries = 50
	for i := range tries {
		if err := part(); err != nil {
			t.Logf("try %d: %v", i+1, err)
			return
		}
	}
	t.Errorf("it was not found in %d tries", tries)
}
