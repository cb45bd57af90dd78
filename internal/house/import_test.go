package house_test

import (
	"encoding/json"
	"go/ast"
	"go/token"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/netparts/netparts"

const (
	sys      = "golang.org/x/sys"
	xnet     = "golang.org/x/net"
	multierr = "go.uber.org/multierr"
	grpc     = "google.golang.org/grpc"
	protobuf = "google.golang.org/protobuf"
)

// allowed are the modules that a package and what it imports of ours may use;
// every other package has the standard library alone. A package below another
// has what that one has.
var allowed = map[string][]string{
	"echo":           {sys, xnet},           // by internal/udpio
	"heartbeat":      {sys},                 // TCP_INFO
	"housework":      {grpc, protobuf, sys}, // sys for locks of files
	"internal/netns": {sys},
	"internal/udpio": {sys, xnet},
	"proxy":          {multierr, sys, xnet},
	"tftp":           {sys, xnet}, // by internal/udpio
	"unixauth":       {sys},
	"examples":       {sys, xnet, multierr, grpc, protobuf},
}

// allowedInTests are the modules that the tests of a package may use besides.
var allowedInTests = map[string][]string{
	"heartbeat":       {xnet},           // nettest
	"httpmw":          {xnet},           // the HTTP/2 framer that attacks our servers
	"internal/memnet": {xnet},           // nettest
	"unixauth":        {grpc, protobuf}, // a gRPC server over a Listener
}

// siblingsInTests are the packages of ours that the tests of a package may use,
// because its Examples show the two together.
var siblingsInTests = map[string][]string{
	"housework": {"tlsutil"}, // serving and dialing
}

// below returns the entry of table for folder or the nearest folder above it.
func below(table map[string][]string, folder string) []string {
	for folder != "" {
		if list, ok := table[folder]; ok {
			return list
		}
		i := strings.LastIndex(folder, "/")
		folder = folder[:max(i, 0)]
	}
	return nil
}

// ours returns the folder of an import path in this module, and whether it is
// in it.
func ours(importPath string) (string, bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// mayImport is the rule of siblings: packages share through internal, examples
// show all of them, and internal packages know none.
func mayImport(folder, imported string) bool {
	top, _, _ := strings.Cut(folder, "/")
	other, _, _ := strings.Cut(imported, "/")
	return top == other || other == "internal" || top == "examples"
}

// imports returns what files import, each path with one place.
func imports(t *testing.T, fset *token.FileSet, files []*ast.File) map[string]token.Position {
	t.Helper()
	paths := make(map[string]token.Position)
	for _, file := range files {
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			paths[path] = fset.Position(spec.Pos())
		}
	}
	return paths
}

// isStandard reports whether a path is of the standard library.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// permits reports whether path is in one of the modules.
func permits(modules []string, path string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") })
}

// The imports are those that stand in the files, for whatever system,
// architecture and build tag a file is.
func TestImports(t *testing.T) {
	// For tests alone, and for each other: what is built with one of these bears
	// package testing.
	testsOnly := []string{"internal/daemon", "internal/house", "internal/interop", "internal/leak", "internal/memnet", "internal/netns"}
	fset := token.NewFileSet()
	code := make(map[string]map[string]token.Position) // by folder
	folders := slices.DeleteFunc(goFolders(t, fset), func(f folder) bool { return f.nested })
	for _, f := range folders {
		code[f.path] = imports(t, fset, f.code)
	}
	for _, f := range folders {
		permitted := below(allowed, f.path)
		for path, at := range code[f.path] {
			if other, ok := ours(path); ok && (!mayImport(f.path, other) || slices.Contains(testsOnly, other) && !slices.Contains(testsOnly, f.path)) {
				t.Errorf("%s: %s may not import %s", at, f.path, path)
			}
		}
		// A package uses also what those of ours that it imports use.
		for path, at := range reached(code, f.path) {
			if !permits(permitted, path) {
				t.Errorf("%s: so %s uses %s", at, f.path, path)
			}
		}
		permitted = slices.Concat(permitted, below(allowedInTests, f.path))
		for path, at := range imports(t, fset, f.tests) {
			other, ok := ours(path)
			if ok && slices.Contains(below(siblingsInTests, f.path), other) {
				continue
			}
			if ok && !mayImport(f.path, other) || !ok && !isStandard(path) && !permits(permitted, path) {
				t.Errorf("%s: a test of %s may not import %s", at, f.path, path)
			}
		}
	}
}

// reached returns the imports from other modules of a folder and of what it
// imports of ours.
func reached(code map[string]map[string]token.Position, folder string) map[string]token.Position {
	found := make(map[string]token.Position)
	seen := make(map[string]bool)
	for queue := []string{folder}; len(queue) > 0; queue = queue[1:] {
		if seen[queue[0]] {
			continue
		}
		seen[queue[0]] = true
		for path, at := range code[queue[0]] {
			if other, ok := ours(path); ok {
				queue = append(queue, other)
			} else if !isStandard(path) {
				found[path] = at
			}
		}
	}
	return found
}

func TestRequirements(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is not in the path")
	}
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Module  struct{ Path string }
		Go      string
		Require []struct {
			Path     string
			Indirect bool
		}
		Toolchain                       string
		Replace, Tool, Exclude, Godebug []any
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	if mod.Module.Path != module || mod.Go != "1.26.0" {
		t.Errorf("module %s of Go %s, want %s of Go 1.26.0", mod.Module.Path, mod.Go, module)
	}
	for _, r := range mod.Require {
		if !r.Indirect && !slices.Contains(allowed["examples"], r.Path) {
			t.Errorf("go.mod requires %s", r.Path)
		}
	}
	if mod.Toolchain != "" || len(mod.Replace)+len(mod.Tool)+len(mod.Exclude)+len(mod.Godebug) > 0 {
		t.Errorf("go.mod says more than what is required, which its users would not get or not want:\n%s", out)
	}
}
