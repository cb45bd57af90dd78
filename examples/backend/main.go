// Backend is a service that stands behind a reverse proxy, such as examples/proxyhttp.
//
//	backend [flags]
//
//	-listen A   address to listen on (localhost:8080)
//
// In the root of the repository, each in a terminal of its own:
//
//	go run ./examples/backend
//	go run ./examples/proxyhttp -files examples/proxyhttp/files
//
// It serves one page, whatever the path. The style and the picture of the page are links
// without a scheme and a host, which a browser completes by those of the proxy: it asks the
// proxy for the files, which this program does not have.
//
// The first line on the standard output is "listening on http://ADDR", so that port 0 can be
// used. The standard error gets a line of JSON about each request: who has connected
// (remote_addr), whom that claims to have asked (x_forwarded_for), and for what (uri). The
// claim may be believed if it is the proxy that has connected, and its last address only:
// what stands before that, and all that others send, may be made up. The program
// decides nothing by it. It listens where only programs of this machine can
// connect, unless it is told otherwise.
//
// SIGINT and SIGTERM let requests end, for ten seconds at most; the second signal does not
// wait. The exit status is 0 then, 1 after a failure, also if requests did not end in time,
// and 2 for wrong usage.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/netparts/netparts/examples/backend/service"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(service.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
