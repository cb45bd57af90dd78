package etcdstore

import (
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Config returns what a client of these members should be configured with. It
// notices within seconds when one of them stops answering, connects to it
// again soon after it is back, and logs nothing, since the Store reports what counts. TLS and
// who one is are to be added.
func Config(endpoints ...string) clientv3.Config {
	return clientv3.Config{
		Endpoints: endpoints,
		// gRPC pings after 10 seconds at the earliest. On Linux the other limit is
		// also how long what TCP has sent may stay unconfirmed, which ends the
		// connection to a machine that is gone while somebody waits for it. Idle
		// connections must not be pinged: etcd ends those that are.
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 2 * time.Second,
		Logger:               zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			// By default, a member that was away long is tried every two minutes.
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 2 * time.Second,
		})},
	}
}
