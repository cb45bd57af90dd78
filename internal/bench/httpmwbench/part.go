//go:build linux

// Package httpmwbench measures package httpmw.
package httpmwbench

import (
	"io"
	"net/http"

	"github.com/netparts/netparts/internal/bench/lab"
)

// The sides, besides lab.Ours.
const (
	bare          = "bare" // the handler without anything around it
	chi           = "chi"
	cleanAndSplit = "clean and split"
	inServeMux    = "ours in ServeMux"
	serveMux      = "http.ServeMux"

	timeoutHandler = "http.TimeoutHandler"

	slogHTTP        = "slog-http"
	slogHTTPDefault = "slog-http, defaults"
	snoop           = "httpsnoop"
	chiWrap         = "chi's writer"
	chiLogger       = "chi's Logger"
	jsonAlone       = "JSON handler alone"

	slokClasses = "go-http-metrics"
	slokCodes   = "go-http-metrics, codes"
	promHandler = "promhttp"

	inNewServer = "ours in NewServer"
)

// Part is what is measured.
func Part() lab.Part {
	p := lab.Part{
		Name: "httpmw",
		Job: "middleware of net/http. Handlers are called without a network, so that what each middleware adds " +
			"to the bare handler can be told; the full stack is also asked over connections",
		Peers:      peers(),
		Growths:    []lab.Growth{byConnections()},
		Conclusion: conclusion,
		Child:      child,
	}
	p.Cases = append(p.Cases, restrictions()...)
	p.Cases = append(p.Cases, methodsCase())
	p.Cases = append(p.Cases, timeouts()...)
	p.Cases = append(p.Cases, wideEvents()...)
	p.Cases = append(p.Cases, instrumentCase(), stackCase("text", "a greeting"), stackCase("json", "some KiB of JSON"), idleCase())
	return p
}

func peers() []lab.Peer {
	const (
		chiModule  = "github.com/go-chi/chi/v5"
		slogModule = "github.com/samber/slog-http"
		slokModule = "github.com/slok/go-http-metrics"
	)
	return []lab.Peer{
		{Name: bare, What: "the handler of the case without a middleware"},
		{Name: cleanAndSplit, What: "the middleware that is usually written by hand: path.Clean, and each segment compared"},
		{Name: inServeMux, What: "Methods behind an http.ServeMux that knows the path, since routers look at the path as well"},
		{Name: serveMux, What: "http.ServeMux with a pattern for each method"},
		{
			Name: chi, Module: chiModule,
			What: "chi's router for Methods, its middleware Timeout for Timeout; for the stack, that of chi, slog-http and " +
				"go-http-metrics: its Timeout does not answer for a handler, nothing drains bodies, and no path is restricted",
		},
		{Name: timeoutHandler, What: "the standard library's limit, which keeps the response in memory until the handler ends"},
		{
			Name: slogHTTP, Module: slogModule,
			What: "13 attributes in two groups: of WideEvent's 11 it has not the protocol and the pattern, and two times, the " +
				"referer and the bytes read and written more. What is in the strings it does not look at",
		},
		{Name: slogHTTPDefault, What: "the same with an id of its own for each request in place of the user agent", Module: slogModule},
		{Name: snoop, What: "its CaptureMetrics, and WideEvent's 11 attributes logged by hand, as they are", Module: "github.com/felixge/httpsnoop"},
		{Name: chiWrap, What: "chi's NewWrapResponseWriter, and the 11 attributes logged by hand", Module: chiModule},
		{Name: jsonAlone, What: "the 11 attributes logged by hand with slog.JSONHandler, with nothing that watches the response: less is not to be had with that handler"},
		{Name: chiLogger, What: "one line of text with 8 of the attributes", Module: chiModule},
		{Name: slokClasses, What: "with classes of status codes, as ours has; sizes of responses are a histogram, which ours has a sum of", Module: slokModule},
		{Name: slokCodes, What: "the same with each status code, its default", Module: slokModule},
		{Name: promHandler, What: "four nested handlers of client_golang, which know the pattern only as they are told it", Module: "github.com/prometheus/client_golang"},
		{Name: inNewServer, What: "the full stack in the server of NewServer, which limits slow bodies and stalled readers; ours is in an http.Server"},
	}
}

// greet is a handler of one line.
func greet(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, greeting) // a client that has left has no error to see
}

const greeting = "Hello, friend!\n"

// conclusion is for somebody who chooses middleware.
const conclusion = `- Beside the work of a handler and the system calls of a connection all of these costs are small: a whole stack adds some microseconds to a request. Choose by what a middleware does when things go wrong, and by these figures only where a server does little else than answer.
- Paths and methods: ours allocates nothing and takes a fraction of the usual hand-written check or of a router. Methods replaces no router; behind http.ServeMux it costs about what ServeMux's own patterns with methods do, which is the way to take where a pattern is enough.
- A limit in time over HTTP/1: ours takes well less than http.TimeoutHandler, and far less where a response is large or a handler's stack is deep, since the handler stays in its goroutine and nothing is kept in memory. chi's costs less for a handler that looks at its context, and more for one that does not, but nobody gets an answer whose handler ignores its context.
- A limit in time over HTTP/2: ours needs a goroutine too, and takes about what http.TimeoutHandler does, or somewhat less. chi's, which needs none, costs far less than both there; it is enough where all handlers look at their context.
- Logs: slog.JSONHandler is the greater part of WideEvent. A line of text, or attributes logged by hand with chi's writer, cost less, httpsnoop about the same, and slog-http about half more. What ours adds to these is that secrets in queries and control characters do not get into the log, and that informational statuses, hijacked connections and panics are told of.
- Counting: ours costs about a third of go-http-metrics, and allocates nothing. It has no other kinds of metrics; where a program has client_golang anyway, a microsecond more or less is no reason against it.
- The full stack costs about what chi's comparable one does, somewhat less where the answer is small; both are plainly above the bare handler for a greeting, and little above it where the handler has work to do. With thousands of connections a request gets dearer for all of them alike. NewServer's limits cost next to nothing more, and no stack adds memory to an idle connection.`
