package house_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the root of the repository, seen from this package.
const root = "../.."

// A folder is the Go files of one folder of the repository.
type folder struct {
	path        string // from the root, with slashes
	nested      bool   // in a module of its own
	code, tests []*ast.File
	files       map[string]*ast.File // all, those that are generated too, by name
}

// public reports whether users can import the folder, and expect a manual.
func (f folder) public() bool {
	top, _, _ := strings.Cut(f.path, "/")
	return !f.nested && f.path != "." && top != "internal" && top != "examples" && !strings.Contains(f.path, "/internal")
}

// goFolders parses every Go file, whatever system or tag it is for, nested
// modules included.
func goFolders(t *testing.T, fset *token.FileSet) []folder {
	t.Helper()
	folders, err := parseFolders(os.DirFS(root), root, fset)
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) == 0 {
		t.Fatal("no Go files found")
	}
	return slices.SortedFunc(maps.Values(folders), func(a, b folder) int { return strings.Compare(a.path, b.path) })
}

// parseFolders parses every Go file of a tree, and returns its folders by their
// paths. Positions begin with place.
func parseFolders(fsys fs.FS, place string, fset *token.FileSet) (map[string]folder, error) {
	folders := make(map[string]folder)
	var modules []string // the folders of nested ones
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := path.Base(name); d.IsDir() && (base == "testdata" || base != "." && strings.HasPrefix(base, ".")) {
			return fs.SkipDir
		}
		if path.Base(name) == "go.mod" && name != "go.mod" {
			modules = append(modules, path.Dir(name)+"/")
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, filepath.Join(place, name), src, parser.ParseComments)
		if err != nil {
			return err
		}
		f := folders[path.Dir(name)]
		if f.files == nil {
			f.path, f.files = path.Dir(name), make(map[string]*ast.File)
		}
		f.add(path.Base(name), file)
		folders[f.path] = f
		return nil
	})
	for name, f := range folders {
		f.nested = slices.ContainsFunc(modules, func(m string) bool { return strings.HasPrefix(name+"/", m) })
		folders[name] = f
	}
	return folders, err
}

// add sorts a file in.
func (f *folder) add(name string, file *ast.File) {
	f.files[name] = file
	switch {
	case strings.HasSuffix(name, "_test.go"):
		f.tests = append(f.tests, file)
	case !ast.IsGenerated(file):
		f.code = append(f.code, file)
	}
}

// parts returns the packages of the library, such as "tlv".
func parts(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, f := range goFolders(t, token.NewFileSet()) {
		if f.public() && !strings.Contains(f.path, "/") {
			names = append(names, f.path)
		}
	}
	if len(names) == 0 {
		t.Fatal("no packages found")
	}
	return names
}

// An Example without an Output comment is compiled and never run.
func TestEveryExampleHasOutput(t *testing.T) {
	fset := token.NewFileSet()
	count := 0
	for _, f := range goFolders(t, fset) {
		for _, e := range doc.Examples(f.tests...) {
			count++
			if e.Output == "" && !e.EmptyOutput {
				t.Errorf("%s: Example%s has no Output comment, so it does not run", f.path, e.Name)
			}
		}
	}
	if count == 0 {
		t.Error("no Example found")
	}
}

// Linters look at the files of one system and at declarations. This looks at all
// files, and also at fields, at the methods of interfaces, and at each name of a
// group.
func TestEveryExportedNameIsDocumented(t *testing.T) {
	fset := token.NewFileSet()
	for _, f := range goFolders(t, fset) {
		if !f.public() {
			continue
		}
		for _, file := range f.code {
			for _, decl := range file.Decls {
				for _, name := range undocumented(decl) {
					t.Errorf("%s: %s has no comment", fset.Position(name.Pos()), name.Name)
				}
			}
		}
	}
}

// undocumented returns the exported names of a declaration that lack a comment.
func undocumented(decl ast.Decl) (names []*ast.Ident) {
	add := func(comment bool, idents ...*ast.Ident) {
		for _, id := range idents {
			if id.IsExported() && !comment {
				names = append(names, id)
			}
		}
	}
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil || receiver(d).IsExported() {
			add(d.Doc != nil, d.Name)
		}
	case *ast.GenDecl:
		alone := !d.Lparen.IsValid() && d.Doc != nil
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				add(alone || s.Doc != nil || s.Comment != nil, s.Names...)
			case *ast.TypeSpec:
				add(alone || s.Doc != nil, s.Name)
				if s.Name.IsExported() {
					ast.Inspect(s.Type, func(n ast.Node) bool {
						if field, ok := n.(*ast.Field); ok {
							add(field.Doc != nil || field.Comment != nil, field.Names...)
						}
						_, isFunc := n.(*ast.FuncType) // whose parameters are no fields
						return !isFunc
					})
				}
			}
		}
	}
	return names
}

// receiver returns the name of the type that a method belongs to.
func receiver(d *ast.FuncDecl) *ast.Ident {
	typ := d.Recv.List[0].Type
	for {
		switch t := typ.(type) {
		case *ast.StarExpr:
			typ = t.X
		case *ast.IndexExpr:
			typ = t.X
		case *ast.IndexListExpr:
			typ = t.X
		case *ast.Ident:
			return t
		default:
			return ast.NewIdent("_")
		}
	}
}

// Each package begins with an Example of the whole, and each function that a
// user starts from has one: its own, or one of the type that it returns.
func TestEveryEntryPointHasAnExample(t *testing.T) {
	fset := token.NewFileSet()
	for _, f := range goFolders(t, fset) {
		if !f.public() || len(f.code) == 0 {
			continue
		}
		examples := make(map[string]bool)
		for _, e := range doc.Examples(f.tests...) {
			owner, _, _ := strings.Cut(e.Name, "_")
			examples[owner] = true
		}
		if !examples[""] {
			t.Errorf("package %s has no Example of the whole", f.path)
		}
		p, err := doc.NewFromFiles(fset, f.code, module+"/"+f.path)
		if err != nil {
			t.Fatal(err)
		}
		for _, fn := range p.Funcs {
			// An Example has no *testing.T to call it with. The package comment shows a test
			// that does.
			if takesTest(fn.Decl) && strings.Contains(p.Doc, "\t"+p.Name+"."+fn.Name+"(t, ") {
				continue
			}
			if !examples[fn.Name] {
				t.Errorf("package %s: no Example of the function %s", f.path, fn.Name)
			}
		}
		for _, typ := range p.Types {
			for _, fn := range typ.Funcs {
				if !examples[fn.Name] && !examples[typ.Name] {
					t.Errorf("package %s: no Example of %s, nor of %s, which makes one", f.path, typ.Name, fn.Name)
				}
			}
		}
	}
}

// takesTest reports whether the first parameter of a function is a *testing.T.
func takesTest(d *ast.FuncDecl) bool {
	if len(d.Type.Params.List) == 0 {
		return false
	}
	star, ok := d.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	typ, ok := star.X.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	from, ok := typ.X.(*ast.Ident)
	return ok && from.Name == "testing" && typ.Sel.Name == "T"
}

// The root is a map: no code, no main, and no file beyond those that a reader
// expects there.
func TestNoCodeAtTheRoot(t *testing.T) {
	for _, f := range goFolders(t, token.NewFileSet()) {
		if f.path != "." {
			continue
		}
		if len(f.tests) != 0 || len(f.code) != 1 || len(f.code[0].Decls) != 0 || f.code[0].Name.Name != "netparts" {
			t.Error("the root is not one file of package netparts without declarations")
		}
	}
	expected := []string{"CHANGELOG.md", "LICENSE", "README.md", "check", "doc.go", "go.mod", "go.sum", "staticcheck.conf"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		ignored := strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "go.work") ||
			slices.Contains([]string{".test", ".out", ".prof"}, path.Ext(e.Name())) // as in .gitignore
		if !e.IsDir() && !ignored && !slices.Contains(expected, e.Name()) {
			t.Errorf("%s stands at the root", e.Name())
		}
	}
}
