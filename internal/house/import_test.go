package house_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/token"
	"io"
	"os"
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
	"echo":           {sys, xnet}, // by internal/udpio
	"housework":      {grpc, protobuf},
	"internal/udpio": {sys, xnet},
	"proxy":          {multierr, sys, xnet},
	"tftp":           {sys, xnet}, // by internal/udpio
	"unixauth":       {sys},
	"examples":       {sys, xnet, multierr, grpc, protobuf},
}

// allowedInTests are the modules that the tests of a package may use besides.
var allowedInTests = map[string][]string{
	"httpmw":          {xnet}, // the HTTP/2 framer that attacks our servers
	"internal/memnet": {xnet}, // nettest
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

// A pkg is what go list says of one package.
type pkg struct {
	ImportPath                         string
	Standard                           bool
	Module                             *struct{ Path string }
	Imports, TestImports, XTestImports []string
}

// listPackages returns all packages of the module and what they and their tests
// depend on, for one operating system.
func listPackages(t *testing.T, goos string) map[string]*pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-test", "-json=ImportPath,Standard,Module,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	packages := make(map[string]*pkg)
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		p := new(pkg)
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		// Packages compiled again for a test bear its name in brackets; they
		// import what the plain ones and the lists of test imports say.
		if !strings.ContainsAny(p.ImportPath, " ") && !strings.HasSuffix(p.ImportPath, ".test") {
			packages[p.ImportPath] = p
		}
	}
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

func TestImports(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is not in the path")
	}
	for _, goos := range []string{"linux", "darwin", "windows", "freebsd"} {
		t.Run(goos, func(t *testing.T) {
			t.Parallel()
			packages := listPackages(t, goos)
			checked := 0
			for path, p := range packages {
				folder, ok := ours(path)
				if !ok {
					continue
				}
				checked++
				for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
					if other, ok := ours(imported); ok && !mayImport(folder, other) {
						t.Errorf("%s imports its sibling %s", path, imported)
					}
				}
				permitted := below(allowed, folder)
				for used, by := range modules(packages, path, p.Imports) {
					if !slices.Contains(permitted, used) {
						t.Errorf("%s uses the module %s, by %s", path, used, by)
					}
				}
				permitted = append(slices.Clone(permitted), below(allowedInTests, folder)...)
				for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
					if q := packages[imported]; q != nil && q.Module != nil && q.Module.Path != module && !slices.Contains(permitted, q.Module.Path) {
						t.Errorf("a test of %s uses the module %s, by %s", path, q.Module.Path, imported)
					}
				}
			}
			if checked < 3 {
				t.Errorf("go list named %d packages of ours", checked)
			}
		})
	}
}

// modules returns the modules that the packages of ours among imports, and what
// those import of ours, use directly, each with one of the imports.
func modules(packages map[string]*pkg, path string, imports []string) map[string]string {
	used := make(map[string]string)
	seen := map[string]bool{path: true}
	for queue := slices.Clone(imports); len(queue) > 0; queue = queue[1:] {
		imported := queue[0]
		q := packages[imported]
		if q == nil || q.Standard || seen[imported] {
			continue
		}
		seen[imported] = true
		if _, ok := ours(imported); ok {
			queue = append(queue, q.Imports...)
		} else if q.Module != nil {
			used[q.Module.Path] = imported
		}
	}
	return used
}

// What go list sees depends on the system, the architecture and the build tags.
// The imports that stand in the files do not.
func TestImportsOfEveryFile(t *testing.T) {
	// For tests alone: what is built with one of these bears package testing.
	testsOnly := []string{"internal/house", "internal/interop", "internal/memnet"}
	fset := token.NewFileSet()
	for _, f := range goFolders(t, fset) {
		if !f.public() && !strings.HasPrefix(f.path, "internal/") || strings.HasPrefix(f.path, "internal/bench") {
			continue
		}
		permitted := below(allowed, f.path)
		check := func(files []*ast.File, permitted, forbidden []string) {
			for _, file := range files {
				for _, spec := range file.Imports {
					imported, err := strconv.Unquote(spec.Path.Value)
					if err != nil {
						t.Fatal(err)
					}
					first, _, _ := strings.Cut(imported, "/")
					other, isOurs := ours(imported)
					switch {
					case !strings.Contains(first, "."): // the standard library
					case isOurs && slices.Contains(forbidden, other):
						t.Errorf("%s imports %s, which is for tests", fset.Position(spec.Pos()), imported)
					case isOurs && mayImport(f.path, other):
					case !isOurs && slices.ContainsFunc(permitted, func(m string) bool { return imported == m || strings.HasPrefix(imported, m+"/") }):
					default:
						t.Errorf("%s imports %s", fset.Position(spec.Pos()), imported)
					}
				}
			}
		}
		check(f.code, permitted, testsOnly)
		check(f.tests, slices.Concat(permitted, below(allowedInTests, f.path)), nil)
	}
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
