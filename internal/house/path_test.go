package house_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pathFile is the learning path: a table for each chapter of the book, with a row for
// each listing.
const pathFile = "examples/README.md"

// lastListings are the numbers of the last listing of the chapters.
var lastListings = []struct{ chapter, last int }{
	{2, 7},
	{3, 12},
	{4, 27},
	{5, 10},
	{6, 13},
	{7, 16},
	{8, 11},
	{9, 20},
	{10, 14},
	{11, 22},
	{12, 28},
	{13, 30},
	{14, 12},
}

// listings returns the numbers of all listings, in the order of the book.
func listings() []string {
	var all []string
	for _, c := range lastListings {
		for n := range c.last {
			all = append(all, fmt.Sprintf("%d-%d", c.chapter, n+1))
		}
	}
	return all
}

// A tree is what the rows of the path speak of.
type tree struct {
	fsys    fs.FS
	folders map[string]folder // by path from the root
}

func newTree(fsys fs.FS) (tree, error) {
	folders, err := parseFolders(fsys, root, token.NewFileSet())
	return tree{fsys, folders}, err
}

// A row is a line of the path that shows something and says how to run it.
type row struct {
	listing string // such as "3-1"; empty below the tables
	line    int
	links   []link
	command string
}

func (r row) String() string {
	if r.listing == "" {
		return fmt.Sprintf("line %d", r.line)
	}
	return fmt.Sprintf("line %d: %s", r.line, r.listing)
}

// A link leads from a name to the file or folder that declares it.
type link struct{ text, target string }

var (
	linkPattern    = regexp.MustCompile(`\[([^\]]*)\]\(([^)]*)\)`)
	commandPattern = regexp.MustCompile("`(go [^`]*)`")
	separator      = regexp.MustCompile(`^\|(-+\|)+$`)
	chapterPattern = regexp.MustCompile(`^## ([0-9]+)\.`)
	itemPattern    = regexp.MustCompile(`^[-*+] `)
)

// linksIn returns the links of a text, whose targets are seen from the root.
func linksIn(text string) []link {
	var links []link
	for _, m := range linkPattern.FindAllStringSubmatch(text, -1) {
		target := m[2]
		if !strings.Contains(target, "://") {
			target = path.Join(path.Dir(pathFile), target)
		}
		links = append(links, link{strings.Trim(m[1], "`"), target})
	}
	return links
}

// parsePath returns the rows of the tables and of the lists below them, and what is
// wrong with their form. The heading of each table has columns of its own.
func parsePath(text string) (rows []row, faults []string) {
	var before, columns, chapter string
	for i, line := range strings.Split(text, "\n") {
		r := row{line: i + 1}
		fault := func(format string, args ...any) {
			faults = append(faults, r.String()+": "+fmt.Sprintf(format, args...))
		}
		switch {
		case separator.MatchString(line):
			columns = before
			if got, want := strings.Count(line, "|"), strings.Count(before, "|"); got != want {
				fault("a line of %d cells under a heading of %d makes no table", got-1, want-1)
			}
		case strings.HasPrefix(line, "|") && columns != "":
			cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
			r.listing = strings.TrimSpace(cells[0])
			if want := strings.Count(columns, "|") - 1; len(cells) != want || want != 5 {
				fault("%d cells under a heading of %d, want 5", len(cells), want)
				break
			}
			if of, _, _ := strings.Cut(r.listing, "-"); chapter != "" && of != chapter {
				fault("stands in chapter %s", chapter)
			}
			r.parse(cells, fault)
			if r.command != "" {
				rows = append(rows, r)
			}
		case itemPattern.MatchString(line):
			columns = ""
			r.links = linksIn(line)
			m := commandPattern.FindAllStringSubmatch(line, -1)
			if len(m) != 1 || len(r.links) == 0 {
				fault("%d links and %d commands, want some and one", len(r.links), len(m))
				break
			}
			r.command = m[0][1]
			rows = append(rows, r)
		case !strings.HasPrefix(line, "|"):
			columns = ""
		}
		if m := chapterPattern.FindStringSubmatch(line); m != nil {
			chapter = m[1]
		}
		before = line
	}
	return rows, faults
}

// parse reads the cells of a table's row. What is wrong with them it tells fault.
func (r *row) parse(cells []string, fault func(format string, args ...any)) {
	if slices.ContainsFunc(cells, func(s string) bool { return strings.Count(s, "`")%2 == 1 }) {
		fault("has a backquote without another")
	}
	if strings.TrimSpace(cells[1]) == "" {
		fault("does not say what it shows")
	}
	r.links = linksIn(cells[2])
	between := strings.ReplaceAll(linkPattern.ReplaceAllString(cells[2], ""), " ", "")
	if len(r.links) == 0 || between != strings.Repeat(",", len(r.links)-1) {
		fault("%q is not a list of links", strings.TrimSpace(cells[2]))
	}
	run := strings.TrimSpace(cells[3])
	if m := commandPattern.FindStringSubmatch(run); m == nil || m[0] != run {
		fault("%q is not one command in backquotes", run)
		return
	}
	r.command = strings.Trim(run, "`")
}

// orderFaults says which listings are missing, doubled or out of order.
func orderFaults(rows []row) (faults []string) {
	seen := make(map[string]bool)
	all := listings()
	last := -1
	for _, r := range rows {
		if r.listing == "" {
			continue
		}
		at := slices.Index(all, r.listing)
		switch {
		case at < 0:
			faults = append(faults, fmt.Sprintf("%v: the book has no such listing", r))
		case seen[r.listing]:
			faults = append(faults, fmt.Sprintf("%v: stands twice", r))
		case at < last:
			faults = append(faults, fmt.Sprintf("%v: stands behind %s", r, all[last]))
		}
		seen[r.listing] = true
		last = max(last, at)
	}
	for _, listing := range all {
		if !seen[listing] {
			faults = append(faults, listing+": no row")
		}
	}
	return faults
}

// pathFaults says what is wrong with the path.
func pathFaults(text string, where tree) []string {
	rows, faults := parsePath(text)
	faults = append(faults, orderFaults(rows)...)
	line := 0
	for s := range strings.Lines(text) {
		line++
		for _, l := range linksIn(s) {
			if !strings.Contains(l.target, "://") && !where.has(l.target) {
				faults = append(faults, fmt.Sprintf("line %d: [%s]: there is no %s", line, l.text, l.target))
			}
		}
	}
	for _, r := range rows {
		fault := func(err error) { faults = append(faults, fmt.Sprintf("%v: %v", r, err)) }
		for _, l := range r.links {
			if where.has(l.target) && !where.declares(l) {
				fault(fmt.Errorf("%s declares no %s", l.target, l.text))
			}
		}
		if c, err := parseCommand(r.command); err != nil {
			fault(err)
		} else if err := c.check(where, r.links); err != nil {
			fault(err)
		}
	}
	return faults
}

// has reports whether a file or folder exists.
func (w tree) has(name string) bool {
	_, err := fs.Stat(w.fsys, name)
	return err == nil
}

// declares reports whether what a link names stands where it leads: a declaration of
// the file or folder, the program that the folder is, or a file that is not of Go.
func (w tree) declares(l link) bool {
	if f, ok := w.folders[path.Dir(l.target)].files[path.Base(l.target)]; ok {
		return slices.Contains(declared(f), l.text)
	}
	folder, ok := w.folders[l.target]
	for _, f := range folder.files {
		if slices.Contains(declared(f), l.text) {
			return true
		}
	}
	return (!ok || folder.program()) && l.text == path.Base(l.target)
}

// program reports whether a folder is a program.
func (f folder) program() bool {
	return slices.ContainsFunc(f.code, func(file *ast.File) bool { return file.Name.Name == "main" })
}

// declared returns the names that a file declares, methods as Type.Method.
func declared(file *ast.File) (names []string) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = receiver(d).Name + "." + name
			}
			names = append(names, name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.ValueSpec:
					for _, id := range s.Names {
						names = append(names, id.Name)
					}
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				}
			}
		}
	}
	return names
}

// Each listing of the book has a row, whose names exist and whose command runs them.
func TestLearningPath(t *testing.T) {
	where, err := newTree(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range pathFaults(read(t, pathFile), where) {
		t.Errorf("%s: %s", pathFile, fault)
	}
}
