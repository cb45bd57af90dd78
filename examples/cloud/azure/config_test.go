package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"
)

// load decodes a file, in which nothing may be that v does not have.
func load(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// The host passes requests on as they are, to the program that the README builds.
func TestHostJSON(t *testing.T) {
	var host struct {
		Version string
		Logging struct {
			ApplicationInsights struct {
				SamplingSettings struct {
					IsEnabled     bool
					ExcludedTypes string
				}
			}
		}
		ExtensionBundle struct{ ID, Version string }
		CustomHandler   struct {
			Description struct {
				DefaultExecutablePath, WorkingDirectory string
				Arguments                               []string
			}
			EnableForwardingHTTPRequest bool
		}
	}
	load(t, "host.json", &host)
	if host.Version != "2.0" {
		t.Errorf("version %q: 2.0 is that of the file since version 2 of the host", host.Version)
	}
	if b := host.ExtensionBundle; b.ID != "Microsoft.Azure.Functions.ExtensionBundle" || b.Version != "[4.*, 5.0.0)" {
		t.Errorf("%+v", b)
	}
	if h := host.CustomHandler; h.Description.DefaultExecutablePath != "handler" || len(h.Description.Arguments) != 0 || !h.EnableForwardingHTTPRequest {
		t.Errorf("%+v", h)
	}
	if s := host.Logging.ApplicationInsights.SamplingSettings; !s.IsEnabled || s.ExcludedTypes != "Request" {
		t.Errorf("%+v", s)
	}
}

// The name of the folder is that of the function, and part of its path.
func TestFunctionJSON(t *testing.T) {
	type binding struct {
		Type, Direction, Name, AuthLevel string
		Methods                          []string
	}
	var function struct{ Bindings []binding }
	load(t, filepath.Join(path.Base(functionPath), "function.json"), &function)
	if len(function.Bindings) != 2 {
		t.Fatalf("%+v", function)
	}
	in, out := function.Bindings[0], function.Bindings[1]
	if in.Type != "httpTrigger" || in.Direction != "in" || in.Name != "req" || in.AuthLevel != "function" || !slices.Equal(in.Methods, []string{"post"}) {
		t.Errorf("%+v", in)
	}
	if out.Type != "http" || out.Direction != "out" || out.Name != "res" {
		t.Errorf("%+v", out)
	}
}
