package house_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// brokenTree is a repository with what a path needs: a package, a program, and a module
// of its own.
func brokenTree(t *testing.T) tree {
	t.Helper()
	files := fstest.MapFS{}
	for name, text := range map[string]string{
		"go.mod":                   "module example.com/m\n",
		"part/part.go":             "package part\n\ntype T struct{}\n\nfunc (*T) M() {}\n\nconst C = 1\n\nfunc F() {}\n",
		"part/part_test.go":        "package part_test\n\nfunc TestF(t *testing.T) {}\n\nfunc TestFast(t *testing.T) {}\n\nfunc Testimony() {}\n\nfunc FuzzF(f *testing.F) {}\n\nfunc BenchmarkF(b *testing.B) {}\n\nfunc TestMain(m *testing.M) {}\n",
		"part/example_test.go":     "package part_test\n\nfunc ExampleF() {\n\t// Output:\n\t// 1\n}\n\nfunc ExampleC() {\n\tF()\n}\n",
		"part/x_plan9.go":          "//go:build plan9\n\npackage part\n\nfunc OnPlan9() {}\n",
		"part/part.proto":          "syntax = \"proto3\";\n",
		"examples/prog/m.go":       "package main\n\nfunc main() {}\n",
		"examples/own/go.mod":      "module example.com/m/own\n",
		"examples/own/p/p.go":      "package p\n\nfunc G() {}\n",
		"examples/own/p/p_test.go": "package p_test\n\nfunc TestF(t *testing.T) {}\n\nfunc TestG(t *testing.T) {}\n",
	} {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	where, err := newTree(files)
	if err != nil {
		t.Fatal(err)
	}
	return where
}

// brokenRow is the row of listing 3-1 that is exchanged in the tables of this test.
const brokenRow = "| 3-1 | a test | [TestF](../part/part_test.go) | `go test -run TestF ./part` | |"

// wholePath is a path in which nothing is wrong, with row in the place of 3-1, and then
// below.
func wholePath(row, below string) string {
	var b strings.Builder
	fmt.Fprint(&b, "# A path\n\nSee [the part](../part).\n\n| listing | what | here | run | better |\n|---|---|---|---|---|\n")
	for _, listing := range listings() {
		if listing == "3-1" {
			if row != "" {
				fmt.Fprintln(&b, row)
			}
			continue
		}
		fmt.Fprintln(&b, strings.Replace(brokenRow, "3-1", listing, 1))
	}
	fmt.Fprintf(&b, "\nFurther:\n\n%s\n", below)
	return b.String()
}

// Rows as they may be.
func TestPathsThatAreWhole(t *testing.T) {
	where := brokenTree(t)
	for _, row := range []string{
		brokenRow,
		"| 3-1 | a pattern | [TestF](../part/part_test.go) | `go test -run '^TestF$' ./part` | shorter |",
		"| 3-1 | subtests | [TestF](../part/part_test.go) | `go test -run TestF/a ./part` | |",
		"| 3-1 | an Example | [F](../part/part.go), [ExampleF](../part) | `go test -run ExampleF ./part` | |",
		"| 3-1 | seeds | [FuzzF](../part/part_test.go) | `go test -run FuzzF ./part` | |",
		"| 3-1 | a method | [T.M](../part/part.go), [C](../part/part.go), [TestF](../part/part_test.go) | `go test -run TestF ./part` | |",
		"| 3-1 | another system | [OnPlan9](../part/x_plan9.go), [TestF](../part/part_test.go) | `go test -run TestF ./part` | |",
		"| 3-1 | a file | [part.proto](../part/part.proto), [TestF](../part/part_test.go) | `go test -run TestF ./part` | |",
		"| 3-1 | a program | [prog](prog) | `go run ./examples/prog -n 3 README.md` | |",
		"| 3-1 | a module | [`TestG`](own/p/p_test.go) | `go test -C examples/own -run TestG ./p` | |",
	} {
		if faults := pathFaults(wholePath(row, "- more: [TestG](own/p), `go test -C examples/own -run TestG ./p`"), where); len(faults) > 0 {
			t.Errorf("%s\n%q", row, faults)
		}
	}
}

// Rows as they may not be, and what is said of them.
func TestPathsThatAreBroken(t *testing.T) {
	where := brokenTree(t)
	cells := func(here, run string) string { return "| 3-1 | a test | " + here + " | " + run + " | |" }
	const testF = "[TestF](../part/part_test.go)"
	for _, tt := range []struct{ name, row, want string }{
		{"missing", "", "3-1: no row"},
		{"twice", brokenRow + "\n" + brokenRow, "3-1: stands twice"},
		{"too early", strings.Replace(brokenRow, "3-1", "14-12", 1) + "\n" + brokenRow, "3-1: stands behind 14-12"},
		{"unknown", brokenRow + "\n" + strings.Replace(brokenRow, "3-1", "3-13", 1), "3-13: the book has no such listing"},
		{"placeholder", "| 3-1 | TODO | | | |", `3-1: "" is not a list of links`},
		{"a cell too many", brokenRow + " more |", "3-1: 6 cells"},
		{"a cell too few", "| 3-1 | a test | " + testF + " | `go test -run TestF ./part` |", "3-1: 4 cells"},
		{"in another chapter", "\n## 4. More\n\n| listing | what | here | run | better |\n|---|---|---|---|---|\n" + brokenRow, "3-1: stands in chapter 4"},
		{"half a quotation", strings.Replace(brokenRow, "a test", "a `test", 1), "3-1: has a backquote without another"},
		{"lines of no table", "\n| listing | what | here | run | better |\n|---|---|---|---|\n" + brokenRow, "a line of 4 cells under a heading of 5"},
		{"says nothing", "| 3-1 | | " + testF + " | `go test -run TestF ./part` | |", "3-1: does not say what it shows"},
		{"no link", cells("TestF", "`go test -run TestF ./part`"), `3-1: "TestF" is not a list of links`},
		{"words between links", cells(testF+" and "+testF, "`go test -run TestF ./part`"), "is not a list of links"},
		{"link to nothing", cells("[TestF](../part/none_test.go)", "`go test -run TestF ./part`"), "[TestF]: there is no part/none_test.go"},
		{"name of nothing", cells("[TestNone](../part/part_test.go)", "`go test -run TestF ./part`"), "part/part_test.go declares no TestNone"},
		{"name of another file", cells("[T](../part/part_test.go), "+testF, "`go test -run TestF ./part`"), "declares no T"},
		{"method of nothing", cells("[T.N](../part/part.go), "+testF, "`go test -run TestF ./part`"), "declares no T.N"},
		{"folder that is no program", cells("[part](../part), "+testF, "`go test -run TestF ./part`"), "part declares no part"},
		{"no backquotes", cells(testF, "go test -run TestF ./part"), "is not one command in backquotes"},
		{"two commands", cells(testF, "`go test -run TestF ./part` `go test -run TestF ./part`"), "is not one command in backquotes"},
		{"another command", cells(testF, "`rm -rf part`"), "is not one command in backquotes"},
		{"go and something else", cells(testF, "`go vet -run TestF ./part`"), "want go test"},
		{"without -run", cells(testF, "`go test ./part`"), "want go test"},
		{"flags behind", cells(testF, "`go test -run TestF ./part -v`"), "want go test"},
		{"all packages", cells(testF, "`go test -run TestF ./...`"), "want go test"},
		{"not from here", cells(testF, "`go test -run TestF part`"), "want go test"},
		{"shell", cells(testF, "`go test -run TestF$(true) ./part`"), "a shell may take that apart"},
		{"open quote", cells(testF, "`go test -run 'TestF ./part`"), "a shell may take that apart"},
		{"no package", cells(testF, "`go test -run TestF ./none`"), "none is not a package"},
		{"pattern that is none", cells(testF, "`go test -run + ./part`"), "-run +: error parsing regexp"},
		{"matches nothing", cells(testF, "`go test -run TestG ./part`"), "-run TestG matches no test of part"},
		{"matches another", cells(testF, "`go test -run TestFast ./part`"), "-run TestFast runs TestFast, which no link names"},
		{"no test by its name", cells("[Testimony](../part/part_test.go)", "`go test -run Testimony ./part`"), "matches no test"},
		{"TestMain", cells("[TestMain](../part/part_test.go)", "`go test -run TestMain ./part`"), "matches no test"},
		{"benchmark", cells("[BenchmarkF](../part/part_test.go)", "`go test -run BenchmarkF ./part`"), "matches no test"},
		{"Example without Output", cells("[ExampleC](../part/example_test.go)", "`go test -run ExampleC ./part`"), "matches no test"},
		{"name in another package", cells("[TestF](own/p/p_test.go)", "`go test -run TestF ./part`"), "which no link names"},
		{"module without -C", cells("[TestG](own/p/p_test.go)", "`go test -run TestG ./examples/own/p`"), "is of another module"},
		{"-C to no module", cells(testF, "`go test -C part -run TestF .`"), "part is not a module"},
		{"-C that leads elsewhere", cells(testF, "`go test -C examples/../part -run TestF .`"), "want go test"},
		{"no program", cells("[T](../part/part.go)", "`go run ./part`"), "part is not a program"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantFault(t, pathFaults(wholePath(tt.row, ""), where), tt.want)
		})
	}
}

// What stands below the tables is checked as well.
func TestPathsThatAreBrokenBelow(t *testing.T) {
	where := brokenTree(t)
	const testF = "[TestF](../part/part_test.go)"
	for _, tt := range []struct{ name, below, want string }{
		{"no command", "- more: " + testF, "1 links and 0 commands"},
		{"another mark", "* more: " + testF, "1 links and 0 commands"},
		{"no link", "- more: `go test -run TestF ./part`", "0 links and 1 commands"},
		{"matches nothing", "- more: " + testF + ", `go test -run TestG ./part`", "matches no test"},
		{"link in a text", "See [this](none.md).", "[this]: there is no examples/none.md"},
		{"no table", "No path.\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantFault(t, pathFaults(wholePath(brokenRow, tt.below), where), tt.want)
		})
	}
	if faults := pathFaults("", where); len(faults) != len(listings()) {
		t.Errorf("an empty path has %d faults, want %d", len(faults), len(listings()))
	}
}

// wantFault checks that there is a fault that holds a text, or none for no text.
func wantFault(t *testing.T, faults []string, want string) {
	t.Helper()
	if want == "" && len(faults) == 0 || want != "" && slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, want) }) {
		return
	}
	t.Errorf("faults %q, want one with %q", faults, want)
}
