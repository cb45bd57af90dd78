// Package serve is the accept loop and the shutdown that the stream servers of
// this library share.
//
// A server has a [Group] as a field and hands it a [Config] at each call, made
// from its own exported fields, so that the Group holds state only and its zero
// value is ready:
//
//	func (s *Server) Serve(l net.Listener) error {
//		return s.group.Serve(l, s.config())
//	}
//
//	func (s *Server) Shutdown(ctx context.Context) error { return s.group.Shutdown(ctx) }
//
//	func (s *Server) Close() error { return s.group.Close() }
//
// The behaviour is that of [net/http.Server] but for these: the number of open
// connections can be limited, so that the backlog pushes back; Shutdown after
// Close waits until the handlers have returned; connections have no idle state,
// so handlers that wait for a peer listen to [Group.Stopping]; and an accept
// error ends Serve unless it is known to pass.
package serve
