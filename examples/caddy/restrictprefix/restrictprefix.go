// Package restrictprefix is the Caddy module http.handlers.restrict_prefix. It hides every
// path with a segment that begins with a prefix, such as "." for what Unix hides (.git,
// .env): to the client it looks as if no such file were there.
//
//	{"handler": "restrict_prefix", "prefix": "."}
//
// The rule is the one of [httpmw.RestrictPrefix], down to what is encoded twice. The answer
// is the one that file_server gives for a file that is missing: an error with status 404,
// for which the configuration may have routes (handle_errors). Their placeholders are alike
// too, but for {http.error} and {http.error.trace}, which name a line of source and belong
// into logs.
//
// It guards the handlers that come after it in its route, and no other route. A path can
// be checked, a listing of a folder and a symbolic link cannot: where file_server is to
// browse, its "hide" is wanted as well.
package restrictprefix

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/netparts/netparts/examples/caddy/bridge"
	"github.com/netparts/netparts/httpmw"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// A change of an interface of Caddy's becomes an error of the compiler. Without these
// lines, a Handler that were no Validator any more would not be asked.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)

// Handler hides paths.
type Handler struct {
	// Prefix is what hidden names begin with. If empty, it is ".".
	Prefix string `json:"prefix,omitempty"`

	// Exempt are names that are not hidden although they begin with the prefix, for
	// example ".well-known". They are compared exactly.
	Exempt []string `json:"exempt,omitempty"`

	logger *zap.Logger
	guard  *bridge.Middleware
}

// CaddyModule tells Caddy the name of the module, and how to make one.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.restrict_prefix",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision sets the default and prepares what the requests need.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	h.Prefix = cmp.Or(h.Prefix, ".")
	if h.Validate() != nil {
		return nil // Caddy validates next, and refuses the configuration then
	}
	h.guard = bridge.New(httpmw.RestrictPrefix(h.Prefix, &httpmw.RestrictOptions{
		Exempt:   h.Exempt,
		NotFound: bridge.Handler(caddyhttp.HandlerFunc(h.missing)),
	}))
	return nil
}

// Validate refuses names that no file can have, for which [httpmw.RestrictPrefix] panics.
// It changes nothing: defaults are for Provision.
func (h *Handler) Validate() error {
	if err := validate("prefix", h.Prefix); err != nil {
		return err
	}
	for _, name := range h.Exempt {
		if err := validate("exempt", name); err != nil {
			return err
		}
	}
	return nil
}

func validate(field, name string) error {
	if name == "" {
		return fmt.Errorf("%s: the name is empty", field)
	}
	if i := strings.IndexAny(name, "/\\\x00%"); i >= 0 {
		return fmt.Errorf("%s: %q in %q, which is no part of a file's name", field, name[i], name)
	}
	return nil
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return h.guard.ServeHTTP(w, r, next)
}

// missing answers for what is hidden. The client is not told; whoever reads the log is. The
// path is what a client has sent, so it is a field, which encoders quote, and no part of
// the message.
func (h *Handler) missing(_ http.ResponseWriter, r *http.Request) error {
	h.logger.Debug("restricted", zap.String("prefix", h.Prefix), zap.String("path", r.URL.Path))
	return caddyhttp.Error(http.StatusNotFound, nil) // with no cause, as file_server has it
}
