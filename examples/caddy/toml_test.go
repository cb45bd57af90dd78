package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// program runs the program with arguments, and returns what it has written.
func program(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, &errs)
	}
	return string(out)
}

// A module is in the program if the main package imports it, and nothing else is needed.
func TestListModules(t *testing.T) {
	modules := strings.Split(program(t, "list-modules"), "\n")
	for _, name := range []string{"caddy.adapters.toml", "http.handlers.restrict_prefix", "http.handlers.file_server"} {
		if !slices.Contains(modules, name) {
			t.Errorf("list-modules does not show %s:\n%s", name, strings.Join(modules, "\n"))
		}
	}
}

// caddyJSON is what caddy.toml says.
const caddyJSON = `{"apps": {"http": {"servers": {"test_server": {
	"listen": ["localhost:2020"],
	"routes": [
		{
			"match": [{"path": ["/backend", "/backend/*"]}],
			"handle": [{"handler": "reverse_proxy", "upstreams": [{"dial": "localhost:8080"}]}]
		},
		{
			"handle": [
				{"handler": "restrict_prefix", "prefix": "."},
				{"handler": "file_server", "root": "./files", "index_names": ["index.html"]}
			]
		}
	]
}}}}}`

// The command adapt shows what an adapter makes of a file, which is the way to find out how
// something of Caddy's documentation, which shows JSON, is written in TOML.
func TestTOMLIsJSON(t *testing.T) {
	var got, want any
	if err := json.Unmarshal([]byte(program(t, "adapt", "--config", "caddy.toml", "--adapter", "toml")), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(caddyJSON), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("caddy.toml is\n%v\nwant\n%v", got, want)
	}
}

// The command validate does all but run a configuration: it makes the modules, so that they
// refuse what they cannot do. The files of this folder pass, as they stand.
func TestValidate(t *testing.T) {
	for _, args := range [][]string{
		{"validate", "--config", "caddy.toml", "--adapter", "toml"},
		{"validate", "--config", "caddy.json"},
	} {
		if out := program(t, args...); !strings.Contains(out, "Valid configuration") {
			t.Errorf("%q: %s", args, out)
		}
	}
}

// adapted returns caddy.toml as JSON.
func adapted(t *testing.T) object {
	t.Helper()
	document, err := os.ReadFile("caddy.toml")
	if err != nil {
		t.Fatal(err)
	}
	b, warnings, err := caddyconfig.GetAdapter("toml").Adapt(document, nil)
	if err != nil || len(warnings) != 0 {
		t.Fatal(warnings, err)
	}
	var config object
	if err := json.Unmarshal(b, &config); err != nil {
		t.Fatal(err)
	}
	return config
}
