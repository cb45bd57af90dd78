package housework_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// rosieConn connects to a server on a real socket.
func rosieConn(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// The service of the book encodes a list that others change meanwhile, which the race
// detector sees.
func TestRosieManyClients(t *testing.T) {
	const clients, rounds = 8, 20
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	rosie := &housework.Rosie{Store: rosieFilled(t, "Mop floors"), MaxPage: 100}
	rosie.Register(s)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var group sync.WaitGroup
	for i := range clients {
		client := houseworkv1.NewRobotMaidClient(rosieConn(t, l.Addr().String()))
		group.Go(func() {
			for j := range rounds {
				if err := rosieRound(ctx, client, fmt.Sprintf("%d.%d", i, j)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	s.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	chores, err := rosie.Store.List(t.Context(), 1, 1000)
	if err != nil || len(chores) != 1+2*clients*rounds {
		t.Fatalf("%d chores, %v, want %d", len(chores), err, 1+2*clients*rounds)
	}
	for i, c := range chores {
		// The second chore of each Add stays undone.
		if second := strings.HasSuffix(c.Description, "b"); c.Complete == second {
			t.Errorf("chore %d is %v", i+1, c)
		}
	}
}

// rosieRound adds two chores, completes the first of them and chore 1, and lists pages.
func rosieRound(ctx context.Context, client houseworkv1.RobotMaidClient, name string) error {
	added, err := client.Add(ctx, rosieRequest(name, name+"a", name+"b"))
	if err != nil {
		return err
	}
	numbers := houseworkv1.CompleteRequest_builder{ChoreNumber: 1, MoreNumbers: []int32{added.GetFirstNumber()}}.Build()
	if _, err := client.Complete(ctx, numbers); err != nil {
		return err
	}
	for n := int32(1); ; {
		page, err := client.List(ctx, houseworkv1.ListRequest_builder{FirstNumber: n}.Build())
		if err != nil {
			return err
		}
		if i := added.GetFirstNumber() - n; i >= 0 && int(i) < len(page.GetChores())-1 {
			a, b := page.GetChores()[i], page.GetChores()[i+1]
			if a.GetDescription() != name+"a" || !a.GetComplete() || b.GetDescription() != name+"b" {
				return fmt.Errorf("chores %v, %v, want %sa, done, and %sb", a, b, name, name)
			}
		}
		if n = page.GetNextNumber(); n == 0 {
			return nil
		}
	}
}
