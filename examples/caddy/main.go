// Caddy is the web server of that name with two modules more: it reads its configuration
// also from TOML, and hides files whose names begin with a prefix, by the rule that
// [httpmw.RestrictPrefix] has for net/http.
//
//	caddy run --config caddy.toml --adapter toml
//	caddy list-modules
//	caddy help
//
// Caddy is made to be built like this. A module registers itself when its package is
// initialised, so that which modules a program has is decided by what its main package
// imports, and a fault in a configuration is found by the program that will run it. The
// commands, the flags, the signals and the exit status are Caddy's own.
//
// The README of this folder goes through all of it by hand.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/netparts/netparts/examples/caddy/restrictprefix"
	_ "github.com/netparts/netparts/examples/caddy/tomladapter"
)

func main() {
	caddycmd.Main()
}
