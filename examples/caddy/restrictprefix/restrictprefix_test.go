package restrictprefix_test

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/netparts/netparts/examples/caddy/restrictprefix"
	"github.com/netparts/netparts/httpmw"
)

// provision does what Caddy does with a module of a configuration: it decodes it, and then
// provisions and validates it.
func provision(t *testing.T, config string) (*restrictprefix.Handler, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	module, err := ctx.LoadModuleByID("http.handlers.restrict_prefix", json.RawMessage(config))
	if err != nil {
		return nil, err
	}
	return module.(*restrictprefix.Handler), nil
}

// The default is set in Provision, so that Validate need not change anything.
func TestProvision(t *testing.T) {
	for config, want := range map[string]string{
		`{}`:              ".",
		`{"prefix": ""}`:  ".",
		`{"prefix": "_"}`: "_",
	} {
		h, err := provision(t, config)
		if err != nil {
			t.Errorf("%s: %v", config, err)
		} else if h.Prefix != want {
			t.Errorf("%s: prefix %q, want %q", config, h.Prefix, want)
		}
	}
}

// Caddy refuses a configuration that a module refuses.
func TestValidate(t *testing.T) {
	for config, want := range map[string]string{
		`{"prefix": "a/b"}`:         `prefix: '/' in "a/b"`,
		`{"prefix": "\\"}`:          `prefix: '\\' in "\\"`,
		`{"prefix": "%2e"}`:         `prefix: '%' in "%2e"`,
		`{"prefix": "a\u0000"}`:     `prefix: '\x00' in "a\x00"`,
		`{"exempt": [".a", ""]}`:    `exempt: the name is empty`,
		`{"exempt": [".a", ".b/"]}`: `exempt: '/' in ".b/"`,
		`{"prefixes": "."}`:         `unknown field "prefixes"`,
	} {
		if _, err := provision(t, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}

// panics reports whether httpmw takes a prefix and an exempt name.
func panics(prefix, exempt string) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	httpmw.RestrictPrefix(prefix, &httpmw.RestrictOptions{Exempt: []string{exempt}})
	return false
}

// Validate refuses exactly what httpmw panics for: a configuration is no programmer, and
// must not end the server.
func FuzzValidate(f *testing.F) {
	for _, seed := range [][2]string{
		{".", ".well-known"}, // in order
		{"", "x"},            // an empty prefix
		{"x", ""},            // an empty name
		{"/", "x"},
		{".", "a\\b"},
		{"\x00", "%"},
		{"\xff", "\xff"}, // no text, but a name for many systems
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, prefix, exempt string) {
		h := restrictprefix.Handler{Prefix: prefix, Exempt: []string{exempt}}
		if err := h.Validate(); (err != nil) != panics(prefix, exempt) {
			t.Errorf("Validate of %q, %q = %v", prefix, exempt, err)
		}
	})
}

func TestUnmarshalCaddyfile(t *testing.T) {
	for _, tt := range []struct {
		directive string
		prefix    string
		exempt    []string
		err       string
	}{
		{"restrict_prefix", "", nil, ""},
		{"restrict_prefix _", "_", nil, ""},
		{"restrict_prefix {\nexempt .a .b\nexempt .c\n}", "", []string{".a", ".b", ".c"}, ""},
		{"restrict_prefix _ {\nexempt _a\n}", "_", []string{"_a"}, ""},
		{"restrict_prefix a b", "a", nil, "wrong argument count"},
		{"restrict_prefix {\nexempt\n}", "", nil, "wrong argument count"},
		{"restrict_prefix {\nnope\n}", "", nil, `unknown option "nope"`},
	} {
		var h restrictprefix.Handler
		err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(tt.directive))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: %v, want %s", tt.directive, err, tt.err)
			}
			continue
		}
		if err != nil || h.Prefix != tt.prefix || !reflect.DeepEqual(h.Exempt, tt.exempt) {
			t.Errorf("%q: %q, %q, %v", tt.directive, h.Prefix, h.Exempt, err)
		}
	}
}

// The directive stands before what answers, wherever it is written.
func TestCaddyfileOrder(t *testing.T) {
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	config, _, err := adapter.Adapt([]byte(":8080 {\nrespond hello\nrestrict_prefix {\nexempt .well-known\n}\n}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = `"handle":[{"exempt":[".well-known"],"handler":"restrict_prefix"},{"body":"hello","handler":"static_response"}]`
	if !strings.Contains(string(config), want) {
		t.Errorf("%s\nwant %s", config, want)
	}
}
