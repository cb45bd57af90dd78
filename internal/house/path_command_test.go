package house_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/doc"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A command is what a row says to run, from the root: a test of a package, or a program
// that ends by itself.
type command struct {
	args    []string // all, "go" first
	program bool
	module  string // its folder: "." for the root
	folder  string // of the package, from the root
	pattern string // of -run
}

var errForm = errors.New("want go test [-C MODULE] -run NAME ./FOLDER or go run [-C MODULE] ./FOLDER [ARGUMENT...]")

// word are the words that mean the same in every shell, in single quotes or without.
var word = regexp.MustCompile(`^(?:[A-Za-z0-9_./:=,@+^-]+|'[A-Za-z0-9_./:=,@+^$ -]*')$`)

// words takes a command apart as a shell does.
func words(line string) ([]string, error) {
	var out []string
	for rest := line; rest != ""; {
		end := strings.IndexByte(rest, ' ')
		if rest[0] == '\'' {
			if end = strings.IndexByte(rest[1:], '\''); end >= 0 {
				end += 2
			}
		}
		if end < 0 {
			end = len(rest)
		}
		if !word.MatchString(rest[:end]) || end < len(rest) && rest[end] != ' ' {
			return nil, fmt.Errorf("%q: a shell may take that apart in other ways", line)
		}
		out = append(out, strings.Trim(rest[:end], "'"))
		rest = strings.TrimPrefix(rest[end:], " ")
	}
	return out, nil
}

func parseCommand(line string) (command, error) {
	args, err := words(line)
	if err != nil {
		return command{}, err
	}
	form := fmt.Errorf("%q: %w", line, errForm)
	c := command{args: args, module: "."}
	if len(args) < 3 || args[0] != "go" || args[1] != "test" && args[1] != "run" {
		return c, form
	}
	c.program = args[1] == "run"
	rest := args[2:]
	if rest[0] == "-C" && len(rest) > 1 {
		if c.module = path.Clean(rest[1]); c.module != rest[1] || c.module == "." {
			return c, form
		}
		rest = rest[2:]
	}
	if !c.program {
		if len(rest) != 3 || rest[0] != "-run" {
			return c, form
		}
		c.pattern, rest = rest[1], rest[2:]
	}
	if len(rest) == 0 || rest[0] != "." && !strings.HasPrefix(rest[0], "./") || strings.Contains(rest[0], "...") {
		return c, form
	}
	c.folder = path.Join(c.module, rest[0])
	return c, nil
}

// check says what keeps a command from running what its row names.
func (c command) check(where tree, links []link) error {
	f, ok := where.folders[c.folder]
	if !ok {
		return fmt.Errorf("%s is not a package", c.folder)
	}
	if c.module != "." && !where.has(path.Join(c.module, "go.mod")) {
		return fmt.Errorf("%s is not a module", c.module)
	}
	if f.nested != (c.module != ".") {
		return fmt.Errorf("%s is of another module: go test -C", c.folder)
	}
	if c.program {
		if !f.program() {
			return fmt.Errorf("%s is not a program", c.folder)
		}
		return nil
	}
	match, err := matcher(c.pattern)
	if err != nil {
		return fmt.Errorf("-run %s: %w", c.pattern, err)
	}
	ran := slices.DeleteFunc(f.runnable(), func(name string) bool { return !match(name) })
	if len(ran) == 0 {
		return fmt.Errorf("-run %s matches no test of %s", c.pattern, c.folder)
	}
	if !slices.ContainsFunc(links, func(l link) bool {
		in := l.target == c.folder || path.Dir(l.target) == c.folder
		return in && slices.Contains(ran, l.text)
	}) {
		return fmt.Errorf("-run %s runs %s, which no link names", c.pattern, strings.Join(ran, ", "))
	}
	return nil
}

// runnable returns the names of what go test runs: tests, fuzz targets with their
// seeds, and those Examples that say what they print.
func (f folder) runnable() (names []string) {
	for _, e := range doc.Examples(f.tests...) {
		if e.Output != "" || e.EmptyOutput {
			names = append(names, "Example"+e.Name)
		}
	}
	for _, file := range f.tests {
		for _, decl := range file.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && d.Recv == nil && (isTest(d.Name.Name, "Test") || isTest(d.Name.Name, "Fuzz")) {
				names = append(names, d.Name.Name)
			}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "TestMain" })
}

// isTest reports whether go test takes a name for that of a test: Testimony is none.
func isTest(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	r, _ := utf8.DecodeRuneInString(rest)
	return ok && (rest == "" || !unicode.IsLower(r))
}

// matcher returns a function that says which tests go test runs for a pattern. What
// stands behind a slash selects subtests, and does not count here.
func matcher(pattern string) (func(name string) bool, error) {
	depth := 0
	first := pattern
	for i, r := range pattern {
		switch r {
		case '[', '(':
			depth++
		case ']', ')':
			depth--
		}
		if r == '/' && depth == 0 {
			first = pattern[:i]
			break
		}
	}
	re, err := regexp.Compile(first)
	if err != nil {
		return nil, err
	}
	return re.MatchString, nil
}
