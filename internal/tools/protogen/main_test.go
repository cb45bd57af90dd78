package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const source = `syntax = "proto3";
package pets;
option go_package = "example.com/shop/pets;petsv1";
import "google/protobuf/timestamp.proto";
// A Cat sleeps.
message Cat { google.protobuf.Timestamp since = 1; }
service Shop { rpc Sell(Cat) returns (Cat); }
`

// protogen runs the program and returns its exit status and what it says.
func protogen(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var text bytes.Buffer
	status := run(t.Context(), args, &text)
	return status, text.String()
}

func put(t *testing.T, root, name, text string) {
	t.Helper()
	name = filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// generated returns the folder of a module whose code is current.
func generated(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	put(t, root, "go.mod", "module example.com/shop\n")
	put(t, root, "pets/pets.proto", source)
	if status, text := protogen(t, root); status != 0 {
		t.Fatalf("exit status %d: %s", status, text)
	}
	return root
}

func TestGenerate(t *testing.T) {
	root := generated(t)
	for name, want := range map[string]string{
		"pets.pb.go":      "// A Cat sleeps.\ntype Cat struct {\n\tstate            protoimpl.MessageState `protogen:\"opaque.v1\"`",
		"pets_grpc.pb.go": `Metadata: "example.com/shop/pets/pets.proto"`,
	} {
		got, err := os.ReadFile(filepath.Join(root, "pets", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(got), want) {
			t.Errorf("%s lacks %q", name, want)
		}
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, root string)
		want   string // "" if all is current
	}{
		{"current", func(*testing.T, string) {}, ""},
		{"comment in source", func(t *testing.T, root string) {
			put(t, root, "pets/pets.proto", strings.Replace(source, "sleeps", "eats", 1))
		}, "pets/pets.pb.go is not current"},
		{"changed by hand", func(t *testing.T, root string) {
			put(t, root, "pets/pets_grpc.pb.go", "package petsv1\n")
		}, "pets/pets_grpc.pb.go is not current"},
		{"removed", func(t *testing.T, root string) {
			if err := os.Remove(filepath.Join(root, "pets", "pets.pb.go")); err != nil {
				t.Fatal(err)
			}
		}, "pets/pets.pb.go is missing"},
		{"left over", func(t *testing.T, root string) {
			put(t, root, "dogs/dogs.pb.go", "package dogs\n")
		}, "dogs/dogs.pb.go comes from no .proto file"},
		{"of others", func(t *testing.T, root string) {
			put(t, root, "nested/go.mod", "module example.com/nested\n")
			put(t, root, "nested/old.pb.go", "package nested\n")
			put(t, root, "testdata/old.pb.go", "package old\n")
			put(t, root, ".cache/broken.proto", "message")
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := generated(t)
			tt.change(t, root)
			status, text := protogen(t, "-check", root)
			if tt.want == "" && (status != 0 || text != "") || tt.want != "" && status != 1 || !strings.Contains(text, tt.want) {
				t.Errorf("exit status %d: %s\nwant %q", status, text, tt.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	broken := t.TempDir()
	put(t, broken, "go.mod", "module example.com/shop\n")
	put(t, broken, "pets/pets.proto", strings.Replace(source, "= 1;", ";", 1))
	foreign := t.TempDir()
	put(t, foreign, "go.mod", "module example.com/shop\n")
	put(t, foreign, "pets/pets.proto", strings.Replace(source, "example.com/shop", "example.com/other", 1))
	missing := t.TempDir()
	put(t, missing, "go.mod", "module example.com/shop\n")
	put(t, missing, "pets/pets.proto", strings.Replace(source, "google/protobuf/timestamp", "example.com/shop/../etc", 1))
	empty := t.TempDir()
	put(t, empty, "go.mod", "module example.com/shop\n")
	nameless := t.TempDir()
	put(t, nameless, "go.mod", "go 1.26.0\n")
	tests := []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"no folder", nil, 2, "Usage:"},
		{"two folders", []string{broken, empty}, 2, "Usage:"},
		{"unknown flag", []string{"-force", empty}, 2, "-force"},
		{"help", []string{"-h"}, 0, "Usage:"},
		{"no module", []string{filepath.Join(empty, "none")}, 1, "go.mod"},
		{"module without a name", []string{nameless}, 1, "names no module"},
		{"no sources", []string{empty}, 1, "no .proto files"},
		{"syntax error", []string{broken}, 1, "example.com/shop/pets/pets.proto:6:"},
		{"import from elsewhere", []string{missing}, 1, "example.com/shop/../etc.proto"},
		{"package of another module", []string{foreign}, 1, "protoc-gen-go: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if status, text := protogen(t, tt.args...); status != tt.status || !strings.Contains(text, tt.want) {
				t.Errorf("exit status %d: %s\nwant %d and %q", status, text, tt.status, tt.want)
			}
		})
	}
}
