package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// memberCommand is the first argument of a process that is a member of the cluster.
const memberCommand = "member"

// runMember is a member: it runs in the folder of the cluster until it is killed or
// stdin ends, which it does when the process that started it ends in whatever way. It
// returns the exit status.
func runMember(args []string, stdin io.Reader, stderr io.Writer) int {
	// A terminal sends them to all processes, but the first one decides.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	if err := member(args, stdin); err != nil {
		fmt.Fprintf(stderr, "housework-etcd: member: %v\n", err)
		return 1
	}
	return 0
}

func member(args []string, stdin io.Reader) error {
	if len(args) != 4 {
		return errors.New("want a name, two addresses and the cluster")
	}
	name, cluster := args[0], args[3]
	client, err := url.Parse(args[1])
	if err != nil {
		return err
	}
	peer, err := url.Parse(args[2])
	if err != nil {
		return err
	}
	config := embed.NewConfig()
	config.Name, config.Dir = name, name
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	config.InitialCluster = cluster
	// A leader that was killed is missed after half a second to a second. Between
	// machines the default, twice of it, leaves room for a slow network.
	config.TickMs, config.ElectionMs = 50, 500
	// What blocks held before they were appended to is of no use.
	config.AutoCompactionMode, config.AutoCompactionRetention = embed.CompactorModeRevision, "1000"
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer etcd.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, stdin)
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case err := <-etcd.Err():
		return err
	case <-etcd.Server.StopNotify():
		return errors.New("etcd has stopped")
	}
}
