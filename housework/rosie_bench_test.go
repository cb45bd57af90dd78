package housework_test

import (
	"context"
	"fmt"
	"math"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
	"github.com/netparts/netparts/tlsutil"
)

// A benchMaid is the least that a server of the same messages does: it keeps a list
// in memory, and looks at nothing.
type benchMaid struct {
	houseworkv1.UnimplementedRobotMaidServer

	mu     sync.Mutex
	chores []housework.Chore
	store  housework.Store // what List returns
}

func (m *benchMaid) Add(_ context.Context, in *houseworkv1.Chores) (*houseworkv1.Response, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := len(m.chores) + 1
	for _, c := range in.GetChores() {
		m.chores = append(m.chores, housework.Chore{Description: c.GetDescription(), Complete: c.GetComplete()})
	}
	return houseworkv1.Response_builder{Message: "ok", FirstNumber: int32(first)}.Build(), nil
}

func (m *benchMaid) List(ctx context.Context, _ *houseworkv1.ListRequest) (*houseworkv1.Chores, error) {
	chores, err := m.store.List(ctx, 1, math.MaxInt32)
	out := houseworkv1.Chores_builder{}
	for _, c := range chores {
		out.Chores = append(out.Chores, houseworkv1.Chore_builder{Description: c.Description, Complete: c.Complete}.Build())
	}
	return out.Build(), err
}

// benchServe serves what register registers over TLS on the loopback interface, and
// returns a client.
func benchServe(b *testing.B, register func(*grpc.Server)) houseworkv1.RobotMaidClient {
	b.Helper()
	ca, err := tlsutil.NewCA(tlsutil.Authority{Name: "benchmark"})
	if err != nil {
		b.Fatal(err)
	}
	cert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Server: true})
	if err != nil {
		b.Fatal(err)
	}
	material := &tlsutil.Material{Certificate: cert, Roots: ca.Pool()}
	server, err := tlsutil.ServerConfig(material, nil)
	if err != nil {
		b.Fatal(err)
	}
	client, err := tlsutil.ClientConfig(&tlsutil.Material{Roots: ca.Pool()}, nil)
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(server)))
	register(s)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(client)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := conn.Close(); err != nil {
			b.Error(err)
		}
		s.Stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return houseworkv1.NewRobotMaidClient(conn)
}

// benchCompare runs two functions in turns, since what else runs on the machine changes
// from second to second, and reports the ratio of the medians of their times.
func benchCompare(b *testing.B, plain, rosie func()) {
	var times [2][]float64
	for b.Loop() {
		for i, f := range []func(){plain, rosie} {
			begin := time.Now()
			f()
			times[i] = append(times[i], float64(time.Since(begin)))
		}
	}
	var medians [2]float64
	for i := range times {
		slices.Sort(times[i])
		medians[i] = times[i][len(times[i])/2]
	}
	b.ReportMetric(medians[0], "plain-ns")
	b.ReportMetric(medians[1], "rosie-ns")
	b.ReportMetric(medians[0]/medians[1], "rosie/plain-calls")
}

// How many calls Rosie serves, compared with a server that has the generated code alone.
func BenchmarkRosieAdd(b *testing.B) {
	plain := func(s *grpc.Server) { houseworkv1.RegisterRobotMaidServer(s, &benchMaid{}) }
	rosie := func(s *grpc.Server) {
		(&housework.Rosie{Store: &housework.MemoryStore{MaxChores: math.MaxInt32}}).Register(s)
	}
	for _, chores := range []int{1, 100} {
		in := rosieRequest("", rosieDescriptions(chores)...)
		add := func(b *testing.B, c houseworkv1.RobotMaidClient) {
			if _, err := c.Add(b.Context(), in); err != nil {
				b.Error(err)
			}
		}
		for name, register := range map[string]func(*grpc.Server){"plain": plain, "rosie": rosie} {
			b.Run(fmt.Sprintf("%s/chores=%d", name, chores), func(b *testing.B) {
				client := benchServe(b, register)
				b.ReportAllocs()
				for b.Loop() {
					add(b, client)
				}
			})
		}
		b.Run(fmt.Sprintf("compared/chores=%d", chores), func(b *testing.B) {
			p, r := benchServe(b, plain), benchServe(b, rosie)
			benchCompare(b, func() { add(b, p) }, func() { add(b, r) })
		})
		b.Run(fmt.Sprintf("compared/clients=16/chores=%d", chores), func(b *testing.B) {
			p, r := benchServe(b, plain), benchServe(b, rosie)
			turn := func(c houseworkv1.RobotMaidClient) func() {
				return func() {
					var group sync.WaitGroup
					for range 16 {
						group.Go(func() {
							for range 10 {
								add(b, c)
							}
						})
					}
					group.Wait()
				}
			}
			benchCompare(b, turn(p), turn(r))
		})
	}
}

// A list of 100,000 chores, by pages of 1,000 of Rosie and as one message.
func BenchmarkRosieList(b *testing.B) {
	const chores = 100_000
	store := rosieFilled(b, rosieDescriptions(chores)...)
	paged := benchServe(b, func(s *grpc.Server) { (&housework.Rosie{Store: store}).Register(s) })
	whole := benchServe(b, func(s *grpc.Server) { houseworkv1.RegisterRobotMaidServer(s, &benchMaid{store: store}) })
	b.ReportAllocs()
	benchCompare(b, func() {
		if page, err := whole.List(b.Context(), nil); err != nil || len(page.GetChores()) != chores {
			b.Fatalf("%d chores, %v, want %d", len(page.GetChores()), err, chores)
		}
	}, func() {
		n := 0
		for next := int32(1); next != 0; {
			page, err := paged.List(b.Context(), houseworkv1.ListRequest_builder{FirstNumber: next}.Build())
			if err != nil {
				b.Fatal(err)
			}
			n += len(page.GetChores())
			next = page.GetNextNumber()
		}
		if n != chores {
			b.Fatalf("%d chores, want %d", n, chores)
		}
	})
}
