//go:build linux || darwin || freebsd

package unixauth_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/unixauth"
)

// AuthInfo is who calls, as the kernel recorded it.
type AuthInfo struct {
	credentials.CommonAuthInfo
	Cred unixauth.Cred
}

// AuthType implements credentials.AuthInfo.
func (AuthInfo) AuthType() string { return "unix" }

// Credentials are those of a gRPC server that serves a Listener. Its clients use
// insecure.NewCredentials: nobody listens to a Unix socket on the way.
type Credentials struct {
	credentials.TransportCredentials
}

// ServerHandshake looks who is at the other end.
func (Credentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	cred, ok := unixauth.CredFrom(conn)
	if !ok {
		return nil, nil, errors.New("not accepted by a unixauth.Listener")
	}
	return conn, AuthInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}, cred}, nil
}

// Clone returns the same, as nothing in it changes.
func (c Credentials) Clone() credentials.TransportCredentials { return c }

// Health answers only this user.
type Health struct {
	healthpb.UnimplementedHealthServer
}

// Check implements the RPC.
func (Health) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	p, ok := grpcpeer.FromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "no peer")
	}
	caller, ok := p.AuthInfo.(AuthInfo)
	if !ok || int(caller.Cred.UID) != os.Geteuid() {
		return nil, status.Error(codes.PermissionDenied, "another user")
	}
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}

// An RPC that knows who calls it, by credentials for the transport that put the peer where
// every RPC finds it.
func ExampleListener_grpc() {
	dir, err := os.MkdirTemp("", "unixauth")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "grpc")
	policy, err := unixauth.NewPolicy(unixauth.Self())
	if err != nil {
		log.Fatal(err)
	}
	l, err := unixauth.Listen(path, unixauth.Options{})
	if err != nil {
		log.Fatal(err)
	}
	srv := grpc.NewServer(grpc.Creds(Credentials{insecure.NewCredentials()}))
	healthpb.RegisterHealthServer(srv, Health{})
	go srv.Serve(&unixauth.Listener{Listener: l, Policy: policy})
	defer srv.Stop()

	client, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	answer, err := healthpb.NewHealthClient(client).Check(context.Background(), &healthpb.HealthCheckRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.GetStatus())
	// Output:
	// SERVING
}
