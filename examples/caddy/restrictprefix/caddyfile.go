package restrictprefix

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("restrict_prefix", parseCaddyfile)
	// After what rewrites paths and before all that answers, so that whoever writes it
	// at the top of a site guards the whole site.
	httpcaddyfile.RegisterDirectiveOrder("restrict_prefix", httpcaddyfile.Before, "invoke")
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return handler, nil
}

// UnmarshalCaddyfile reads the directive of a Caddyfile:
//
//	restrict_prefix [<prefix>] {
//		exempt <names...>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name of the directive
	if d.NextArg() {
		h.Prefix = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		if d.Val() != "exempt" {
			return d.Errf("unknown option %q", d.Val())
		}
		names := d.RemainingArgs()
		if len(names) == 0 {
			return d.ArgErr()
		}
		h.Exempt = append(h.Exempt, names...)
	}
	return nil
}
