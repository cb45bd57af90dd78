// Package httpmw is net/http middleware without the usual holes, and a server with
// limits that hold.
//
//	mux := http.NewServeMux()
//	files := httpmw.RestrictFS(os.DirFS("files"), ".", nil)
//	mux.Handle("/static/", http.StripPrefix("/static/",
//		httpmw.RestrictPrefix(".", nil)(http.FileServerFS(files))))
//	mux.Handle("/chores", httpmw.Methods(map[string]http.Handler{
//		http.MethodGet:  list,
//		http.MethodPost: httpmw.MaxBody(1 << 20)(add),
//	}))
//
//	metrics := &httpmw.Metrics{Namespace: "chores"}
//	handler := httpmw.Chain(
//		httpmw.WideEvent(logger, nil),
//		httpmw.Instrument(metrics, nil),
//		httpmw.Recover(logger),
//		httpmw.Timeout(10*time.Second, nil),
//		httpmw.DrainAndClose(nil),
//	)(mux)
//
//	l, err := net.Listen("tcp", ":8080")
//	if err != nil {
//		return err
//	}
//	return httpmw.Run(ctx, httpmw.NewServer(handler, logger), l, 15*time.Second)
//
// Each file does one job, and each middleware is a func(http.Handler) http.Handler that
// works alone, in a [Chain], or with those of other packages.
//
// # Options
//
// Middleware that has options takes a pointer to a struct of them as its last argument;
// nil, and the zero value of each field, mean the default that the field's comment gives.
// Options are read when the middleware is made. A mistake in them is one of the program,
// and panics there, before there is a request.
//
// # Order
//
// The first middleware of a Chain sees a request first and its response last. What
// reports ([WideEvent], [Instrument]) belongs outside of [Recover], so that it sees the 500
// that Recover writes, and outside of [Timeout], so that it sees the 503. Compression of
// other packages belongs inside of those. The pattern that an [http.ServeMux] finds is
// known outside of it after the mux has run, if what lies between passes the same
// *http.Request on or, as the middleware of this package does, carries the pattern back.
//
// # Writers
//
// A handler finds out by type assertion what its http.ResponseWriter can do. The writers of
// this package implement [http.Flusher], [http.Hijacker], [http.Pusher] and [io.ReaderFrom]
// exactly when the writer below does, and all of [http.ResponseController] works through
// them, so that streams flush, WebSockets upgrade, and files go out by sendfile. See [Record]
// for middleware of one's own.
//
// As net/http demands, a handler must not use its http.ResponseWriter or read the body
// after it has returned.
//
// # What it does not do
//
// It has no router (http.ServeMux has methods, hosts and wildcards), no CSRF protection
// (http.CrossOriginProtection), no compression, no authentication and no rate limit, and
// it guesses no client address from headers that clients can forge.
package httpmw
