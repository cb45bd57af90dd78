package etcdstore_test

import (
	"context"
	"fmt"
	"log"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/netparts/netparts/examples/housework-etcd/etcdstore"
	"github.com/netparts/netparts/housework"
)

// A list that several servers share.
func ExampleStore() {
	endpoints := []string{member} // such as "10.0.0.1:2379", all members of the cluster
	client, err := clientv3.New(etcdstore.Config(endpoints...))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	store := &etcdstore.Store{Client: client, Prefix: "example/"}
	defer store.Close()

	ctx := context.Background()
	first, err := store.Add(ctx, "saturday", []housework.Chore{{Description: "Mop floors"}, {Description: "Clean dishes"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Complete(ctx, first); err != nil {
		log.Fatal(err)
	}
	page, err := store.List(ctx, 1, 100)
	if err != nil {
		log.Fatal(err)
	}
	for i, c := range page {
		fmt.Println(i+1, c.Complete, c.Description)
	}
	// Output:
	// 1 true Mop floors
	// 2 false Clean dishes
}
