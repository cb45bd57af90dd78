package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/netparts/netparts/examples/housework-etcd/etcdstore"
	"github.com/netparts/netparts/housework"
)

// recovery is how long the cluster may take to start, to find a leader or to catch up.
const recovery = 30 * time.Second

// errEnded is why a drill has shown nothing.
var errEnded = errors.New("a signal came before the end, so nothing was shown")

// drill shows what becomes of a list when members fail.
func (c *config) drill(ctx context.Context, stdout, stderr io.Writer) (err error) {
	dir, err := os.MkdirTemp(c.dir, "housework-etcd-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	defer func() {
		// What else has failed has failed because of these.
		if ctx.Err() != nil {
			err = errEnded
		} else if cause := context.Cause(running); cause != nil {
			err = cause
		}
	}()
	members, err := startCluster(running, dir, stderr, fail)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, members.stop()) }()
	d := &drill{config: c, cluster: members, stdout: stdout, fail: fail}
	return d.serve(running, dir)
}

// A drill is one that runs.
type drill struct {
	*config
	cluster *cluster
	stdout  io.Writer
	fail    context.CancelCauseFunc // ends everything

	load   load
	failed atomic.Int64 // attempts at etcd
}

func (d *drill) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(d.stdout, format+"\n", args...); err != nil {
		d.fail(err)
	}
}

// serve serves Rosie over the cluster while the rest happens.
func (d *drill) serve(ctx context.Context, dir string) (err error) {
	client, err := d.connect(d.cluster.client.Endpoints()...)
	if err != nil {
		return err
	}
	defer client.Close()
	store := &etcdstore.Store{Client: client}
	defer func() { err = errors.Join(err, store.Close()) }()
	server := &housework.Server{Rosie: &housework.Rosie{Store: store}, Insecure: true}
	listens := make(chan struct{})
	announce(server, d.stdout, "unix", d.fail)
	line := server.Listening
	server.Listening = func(a net.Addr) { line(a); close(listens) }
	socket := filepath.Join(dir, "rosie")
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe("unix", socket) }()
	select {
	case err := <-served:
		return err
	case <-listens:
	}
	defer func() { err = errors.Join(err, stop(server, served)) }()
	d.load = load{address: "unix:" + socket, writers: d.writers}
	return d.run(ctx)
}

// connect returns a client whose failed attempts are counted.
func (d *drill) connect(endpoints ...string) (*clientv3.Client, error) {
	config := etcdstore.Config(endpoints...)
	config.DialOptions = append(config.DialOptions, grpc.WithChainUnaryInterceptor(
		func(ctx context.Context, method string, in, out any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
			err := invoke(ctx, method, in, out, conn, options...)
			if err != nil {
				d.failed.Add(1)
			}
			return err
		}))
	return clientv3.New(config)
}

// run adds chores, kills members meanwhile, and compares.
func (d *drill) run(ctx context.Context) error {
	leader, err := d.cluster.leader(ctx, nil)
	if err != nil {
		return err
	}
	d.printf("members: %d, of which %s leads; writers: %d, for at least %v", members, leader.name, d.writers, d.duration)
	adding, enough := context.WithCancel(ctx)
	defer enough()
	loaded := make(chan error, 1)
	go func() {
		err := d.load.run(adding, ctx)
		if err != nil {
			d.fail(err)
		}
		loaded <- err
	}()
	last, err := d.killAll(ctx)
	if err != nil {
		d.fail(err)
	}
	enough()
	limit := time.AfterFunc(recovery, func() { d.fail(fmt.Errorf("clients wait for %v", recovery)) })
	err = errors.Join(err, <-loaded)
	limit.Stop()
	if err != nil {
		return err
	}
	return d.judge(ctx, last)
}

// killAll kills members one after another, spread over the time, and returns the last
// of them.
func (d *drill) killAll(ctx context.Context) (victim *process, err error) {
	part := d.duration / time.Duration(2*len(d.kill)+1)
	for _, who := range d.kill {
		if err := sleep(ctx, part); err != nil {
			return nil, err
		}
		if victim, err = d.killOne(ctx, who, part); err != nil {
			return nil, err
		}
	}
	return victim, sleep(ctx, part)
}

// killOne kills a member, and starts it again when it has been away for a while.
func (d *drill) killOne(ctx context.Context, who string, away time.Duration) (*process, error) {
	leader, err := d.cluster.leader(ctx, nil)
	if err != nil {
		return nil, err
	}
	victim := leader
	if who == "follower" {
		for _, p := range d.cluster.members {
			if p != leader {
				victim = p
			}
		}
	}
	before := d.acked()
	begin := time.Now()
	if err := victim.kill(); err != nil {
		return nil, err
	}
	d.printf("killed %s, the %s, after %d chores", victim.name, who, before)
	if leader, err = d.cluster.leader(ctx, victim); err != nil {
		return nil, err
	}
	d.printf("%s leads, %v later", leader.name, time.Since(begin).Round(time.Millisecond))
	if err := sleep(ctx, away-time.Since(begin)); err != nil {
		return nil, err
	}
	return victim, d.restart(ctx, victim, leader)
}

// restart starts a member and waits until it has what the leader had before.
func (d *drill) restart(ctx context.Context, victim, leader *process) error {
	ctx, cancel := context.WithTimeoutCause(ctx, recovery, fmt.Errorf("%s has not caught up after %v", victim.name, recovery))
	defer cancel()
	target, err := d.cluster.applied(ctx, leader)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := victim.start(); err != nil {
		return err
	}
	for index := uint64(0); index < target; {
		if index, err = d.cluster.applied(ctx, victim); err != nil {
			return err
		}
	}
	d.printf("started %s again: it has caught up with entry %d of the log after %v", victim.name, target, time.Since(begin).Round(time.Millisecond))
	return nil
}

func (d *drill) acked() (n int) {
	d.load.note(func() { n = len(d.load.acked) })
	return n
}

// judge compares what was acknowledged with the list, as Rosie tells it, and as the member
// does that was killed last.
func (d *drill) judge(ctx context.Context, last *process) error {
	ctx, cancel := context.WithTimeout(ctx, recovery)
	defer cancel()
	rosie, err := housework.Dial(ctx, d.load.address, &housework.ClientOptions{Insecure: true})
	if err != nil {
		return err
	}
	defer rosie.Close()
	told, err := d.load.compare(ctx, rosie)
	if err != nil {
		return err
	}
	client, err := clientv3.New(etcdstore.Config(last.endpoint))
	if err != nil {
		return err
	}
	defer client.Close()
	alone := &etcdstore.Store{Client: client}
	defer alone.Close()
	own, err := d.load.compare(ctx, alone)
	if err != nil {
		return err
	}
	d.printf("longest wait for an acknowledgement: %v", d.load.longest.Round(time.Millisecond))
	d.printf("attempts that failed: %d; calls of clients that were made again: %d", d.failed.Load(), d.load.again)
	d.printf("chores: %d, acknowledged %d, lost %d, added twice %d", told.chores, told.acked, told.lost, told.doubled)
	return told.wrong(own, last.name)
}

// wrong returns what is wrong with what Rosie tells, or with what a member tells.
func (v verdict) wrong(own verdict, name string) error {
	switch {
	case v.lost > 0 || v.doubled > 0:
		return fmt.Errorf("of %d chores that were acknowledged %d were lost, and %d were added twice", v.acked, v.lost, v.doubled)
	case v.chores != v.acked:
		return fmt.Errorf("%d chores were added, and %d acknowledged", v.chores, v.acked)
	case v.acked == 0:
		return errors.New("no chore was added")
	case own != v:
		return fmt.Errorf("%s has %d chores, of which %d were added twice, and lacks %d", name, own.chores, own.doubled, own.lost)
	}
	return nil
}

// sleep waits, unless ctx ends first: then it returns why.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
