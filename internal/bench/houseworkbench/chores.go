//go:build linux

package houseworkbench

import (
	"fmt"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// choreText is the description of the chores that are added over the network.
const choreText = "Mop floors, then dust the tables"

// choreList returns chores for lists: with request ids, each of one request, or without.
func choreList(count int, withIDs bool) []housework.Chore {
	list := make([]housework.Chore, count)
	for i := range list {
		list[i] = housework.Chore{Complete: i%3 == 0, Description: fmt.Sprintf("Dust the table in room %d of \"7½\"", i)}
		if withIDs {
			list[i].RequestID = fmt.Sprintf("K5J2TQ5XKIXNJ7VXW%09d", i) // as long as what a Client makes up
		}
	}
	return list
}

// choreOrder is the place of a chore of choreList.
func choreOrder(c housework.Chore) (n int) {
	_, _ = fmt.Sscanf(c.Description, "Dust the table in room %d", &n) // what is wrong stays 0 and is found
	return n
}

func choreMessages(chores []housework.Chore) []*houseworkv1.Chore {
	list := make([]*houseworkv1.Chore, len(chores))
	for i, c := range chores {
		list[i] = &houseworkv1.Chore{}
		list[i].SetComplete(c.Complete)
		list[i].SetDescription(c.Description)
		list[i].SetRequestId(c.RequestID)
	}
	return list
}

func choresOf(messages []*houseworkv1.Chore) []housework.Chore {
	list := make([]housework.Chore, len(messages))
	for i, m := range messages {
		list[i] = housework.Chore{Complete: m.GetComplete(), Description: m.GetDescription(), RequestID: m.GetRequestId()}
	}
	return list
}
