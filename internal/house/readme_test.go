package house_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The README shows one Example in a block of Go code, and says in the line
// before it where that stands.
func TestREADMEShowsATestedExample(t *testing.T) {
	readme := read(t, "README.md")
	const fence = "```go\n"
	before, block, ok := strings.Cut(readme, fence)
	block, rest, closed := strings.Cut(block, "```")
	if !ok || !closed || strings.Contains(rest, fence) {
		t.Fatal("README.md does not have exactly one block of Go code")
	}
	i := strings.LastIndex(before, "](")
	file, _, _ := strings.Cut(before[i+len("]("):], ")")
	if !strings.Contains(read(t, file), "\n"+block) {
		t.Errorf("the code in README.md differs from %s", file)
	}
	if !strings.HasPrefix(block, "func Example") || strings.Index(block, "\n}\n") != len(block)-len("\n}\n") {
		t.Errorf("the code in README.md is not one whole Example:\n%s", block)
	}
}

func TestREADMEIsShort(t *testing.T) {
	if n := strings.Count(read(t, "README.md"), "\n"); n > 80 {
		t.Errorf("README.md has %d lines, want at most 80", n)
	}
}

// The README, the package documentation and the security policy name every
// package.
func TestEveryPackageIsOnTheMap(t *testing.T) {
	readme, doc, security := read(t, "README.md"), read(t, "doc.go"), read(t, ".github/SECURITY.md")
	for _, name := range parts(t) {
		if want := "| [" + name + "]("; !strings.Contains(readme, want) {
			t.Errorf("README.md has no row of package %s: %s", name, want)
		}
		if want := "[" + module + "/" + name + "]"; !strings.Contains(doc, want) {
			t.Errorf("doc.go has no link to package %s: %s", name, want)
		}
		if want := "**" + name + "**"; !strings.Contains(security, want) {
			t.Errorf(".github/SECURITY.md does not say what package %s defends against: %s", name, want)
		}
	}
}
