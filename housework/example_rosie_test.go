package housework_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// A program with a gRPC server of its own registers the service there. The client is the
// generated one.
func ExampleRosie_Register() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer() // without TLS, for an example
	rosie := &housework.Rosie{Store: new(housework.MemoryStore)}
	rosie.Register(server)
	go func() {
		if err := server.Serve(l); err != nil {
			log.Fatal(err)
		}
	}()
	defer server.Stop()

	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	client := houseworkv1.NewRobotMaidClient(conn)
	mop := houseworkv1.Chore_builder{Description: "Mop floors"}.Build()
	added, err := client.Add(context.Background(), houseworkv1.Chores_builder{
		Chores:    []*houseworkv1.Chore{mop},
		RequestId: "monday-1", // if the call is made again, nothing is added
	}.Build())
	if err != nil {
		log.Fatal(err)
	}
	page, err := client.List(context.Background(), &houseworkv1.ListRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(added.GetMessage(), added.GetFirstNumber(), page.GetChores()[0].GetDescription())
	// Output:
	// ok 1 Mop floors
}

// Clients that do not use [housework.Client] find in the details of a status what went
// wrong.
func ExampleRosie_Complete() {
	rosie := &housework.Rosie{Store: new(housework.MemoryStore)}
	request := houseworkv1.CompleteRequest_builder{ChoreNumber: 7}.Build()
	_, err := rosie.Complete(context.Background(), request)
	s := status.Convert(err)
	fmt.Printf("%v: %s\n", s.Code(), s.Message())
	for _, detail := range s.Details() {
		if fault, ok := detail.(*houseworkv1.Fault); ok {
			fmt.Println(fault.GetReason(), fault.GetChoreNumber())
		}
	}
	// Output:
	// NotFound: chore 7 not found
	// NOT_FOUND 7
}
