package storetest_test

import (
	"context"
	"fmt"
	"log"
	"sync/atomic"
	"testing"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/housework/storetest"
)

// A metered Store counts the calls of Add to another one.
type metered struct {
	housework.Store
	adds atomic.Int64
}

// Add implements housework.Store.
func (m *metered) Add(ctx context.Context, requestID string, chores []housework.Chore) (first int, err error) {
	m.adds.Add(1)
	return m.Store.Add(ctx, requestID, chores)
}

// testMetered is called TestMetered where the go command shall find it.
func testMetered(t *testing.T) {
	storetest.Run(t, func(*testing.T) housework.Store {
		return &metered{Store: new(housework.MemoryStore)}
	})
}

// A Store around another one is a Store: testMetered shows that it is still one.
func Example() {
	store := &metered{Store: new(housework.MemoryStore)}
	defer store.Close()
	for _, description := range []string{"Mop floors", "Clean dishes"} {
		_, err := store.Add(context.Background(), "", []housework.Chore{{Description: description}})
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(store.adds.Load(), "calls of Add")
	// Output:
	// 2 calls of Add
}
