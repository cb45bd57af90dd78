package etcdstore_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/netparts/netparts/examples/housework-etcd/etcdstore"
	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/housework/storetest"
)

// limit is how long a test waits for what must happen.
const limit = 20 * time.Second

// member is the address of the etcd that all tests share.
var member string

func TestMain(m *testing.M) { os.Exit(withMember(m.Run)) }

// withMember runs f while there is an etcd, and returns what it returns.
func withMember(f func() int) int {
	dir, err := os.MkdirTemp("", "etcdstore")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	etcd, err := startMember(dir, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer etcd.Close()
	member = etcd.Clients[0].Addr().String()
	return f()
}

// startMember runs an etcd that is alone. If quota is not 0, it may store so many bytes.
func startMember(dir string, quota int64) (*embed.Etcd, error) {
	config := embed.NewConfig()
	config.Dir = dir
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.QuotaBackendBytes = quota
	local := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config.ListenClientUrls, config.ListenPeerUrls = local, local
	config.AdvertiseClientUrls, config.AdvertisePeerUrls = local, local
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case <-time.After(limit):
		etcd.Close()
		return nil, fmt.Errorf("etcd is not ready after %v", limit)
	}
}

// connect returns a client of the shared etcd. Its calls pass the interceptors.
func connect(tb testing.TB, interceptors ...grpc.UnaryClientInterceptor) *clientv3.Client {
	tb.Helper()
	config := etcdstore.Config(member)
	config.DialOptions = append(config.DialOptions, grpc.WithChainUnaryInterceptor(interceptors...))
	client, err := clientv3.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { client.Close() })
	return client
}

// prefix returns the prefix of a test's own list.
func prefix(tb testing.TB) string {
	return fmt.Sprintf("%s %d/", strings.ReplaceAll(tb.Name(), "/", " "), time.Now().UnixNano())
}

// open returns a store with a list of its own.
func open(tb testing.TB, interceptors ...grpc.UnaryClientInterceptor) *etcdstore.Store {
	tb.Helper()
	s := &etcdstore.Store{Client: connect(tb, interceptors...), Prefix: prefix(tb)}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// soon returns a context that ends what hangs.
func soon(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	tb.Cleanup(cancel)
	return ctx
}

// chores returns n chores with descriptions of at least size bytes.
func chores(n, size int) []housework.Chore {
	list := make([]housework.Chore, n)
	for i := range list {
		text := fmt.Sprint("Chore ", i+1, " ")
		list[i].Description = text + strings.Repeat("x", max(0, size-len(text)))
	}
	return list
}

// all returns the list of a store.
func all(tb testing.TB, s housework.Store) (list []housework.Chore) {
	tb.Helper()
	for c, err := range housework.All(soon(tb), s) {
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}

func TestStore(t *testing.T) {
	client := connect(t)
	storetest.Run(t, func(t *testing.T) housework.Store {
		return &etcdstore.Store{Client: client, Prefix: prefix(t)}
	})
}

func TestStoreDurable(t *testing.T) {
	storetest.RunDurable(t, func(t *testing.T) func() housework.Store {
		prefix := prefix(t)
		return func() housework.Store {
			return &etcdstore.Store{Client: connect(t), Prefix: prefix}
		}
	})
}

// Each block is a file of chores in Protobuf, and other programs may read it as one.
func TestKeys(t *testing.T) {
	s := open(t)
	ctx := soon(t)
	for _, id := range []string{"first", ""} {
		if _, err := s.Add(ctx, id, chores(40, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Complete(ctx, 1, 80); err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client.Get(ctx, s.Prefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, kv := range resp.Kvs {
		key := strings.TrimPrefix(string(kv.Key), s.Prefix)
		value := string(kv.Value)
		switch kind, _, _ := strings.Cut(key, "/"); kind {
		case "block":
			list, err := housework.Protobuf.Load(strings.NewReader(value))
			if err != nil {
				t.Fatal(key, err)
			}
			value = fmt.Sprint(len(list), " ", list[0])
		case "done":
			value = fmt.Sprintf("%x", value)
		case "writer":
			key, value = kind, ""
		case "request":
			value, _, _ = strings.Cut(value, " ")
		}
		got = append(got, key+": "+value)
	}
	want := []string{
		"block/00000000: 64 {false Chore 1  first}",
		"block/00000001: 16 {false Chore 25  }",
		"count: 80",
		"done/00000000: 01000000000000000080",
		"request/first: 1",
		"writer: ",
	}
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("keys:\n%s\nwant:\n%s", a, b)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	resp, err = s.Client.Get(ctx, s.Prefix+"writer/", clientv3.WithPrefix())
	if err != nil || len(resp.Kvs) != 0 {
		t.Errorf("after Close: %d keys of writers, %v", len(resp.Kvs), err)
	}
}

// A store whose knowledge of the list is blocks behind adds at the end.
func TestOtherStoreIsAhead(t *testing.T) {
	a := open(t)
	b := &etcdstore.Store{Client: a.Client, Prefix: a.Prefix}
	defer b.Close()
	ctx := soon(t)
	want := 1
	for i, s := range []housework.Store{a, b, a, b, b, a, a} {
		for range 2 {
			n := 1 + 100*i
			if first, err := s.Add(ctx, "", chores(n, 0)); first != want || err != nil {
				t.Fatalf("Add %d = %d, %v, want %d", i, first, err, want)
			}
			want += n
		}
	}
	list := all(t, b)
	if len(list) != want-1 {
		t.Fatalf("%d chores, want %d", len(list), want-1)
	}
	if err := a.Complete(ctx, 1, want-1); err != nil {
		t.Fatal(err)
	}
	if err := b.Complete(ctx, 2, want-2); err != nil {
		t.Fatal(err)
	}
	// What b has not seen is there nevertheless.
	if _, err := a.Add(ctx, "", chores(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := b.Complete(ctx, want); err != nil {
		t.Fatal(err)
	}
	done := 0
	for _, c := range all(t, a) {
		if c.Complete {
			done++
		}
	}
	if done != 5 {
		t.Errorf("%d chores are done, want 5", done)
	}
}
