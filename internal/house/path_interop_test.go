package house_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/netparts/netparts/internal/interop"
)

// Each command of the path does what it says: its tests run, pass and are not skipped.
//
// Two hundred commands would link two hundred test binaries. So those of one package run
// as one, of which each must have run its own tests; what starts a program, what selects
// subtests, and the first of each module, run exactly as they stand.
func TestInteropPath(t *testing.T) {
	interop.Slow(t)
	rows, faults := parsePath(read(t, pathFile))
	if len(faults) > 0 {
		t.Fatal("the path is broken; see TestLearningPath")
	}
	together := make(map[string][]command) // by folder
	var folders []string
	seen := make(map[string]bool) // commands and modules
	for _, r := range rows {
		c, err := parseCommand(r.command)
		if err != nil {
			t.Fatalf("%v: %v", r, err)
		}
		if seen[r.command] {
			continue
		}
		seen[r.command] = true
		if first := "first of " + c.module; c.program || strings.Contains(c.pattern, "/") || !seen[first] {
			seen[first] = seen[first] || !c.program
			pathRun(t, r.command, c.args)
			continue
		}
		if together[c.folder] == nil {
			folders = append(folders, c.folder)
		}
		together[c.folder] = append(together[c.folder], c)
	}
	for _, folder := range folders {
		pathRunTogether(t, folder, together[folder])
	}
}

// pathGo runs the go command from the root, and returns what it prints.
func pathGo(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// pathRun runs one command as it stands.
func pathRun(t *testing.T, line string, args []string) {
	t.Run(line, func(t *testing.T) {
		out, err := pathGo(t.Context(), args[1:]...)
		if err != nil || strings.Contains(out, "no tests to run") || strings.Contains(out, "no test files") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// pathRunTogether runs the tests of several commands of one package, and checks that
// each command has had its own.
func pathRunTogether(t *testing.T, folder string, commands []command) {
	t.Run(folder, func(t *testing.T) {
		var patterns []string
		for _, c := range commands {
			patterns = append(patterns, "(?:"+c.pattern+")")
		}
		out, err := pathGo(t.Context(), "test", "-C", folder, "-v", "-run", strings.Join(patterns, "|"), ".")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, c := range commands {
			if fault := pathVerdict(out, c); fault != "" {
				t.Errorf("%s: %s\n%s", strings.Join(c.args, " "), fault, out)
			}
		}
	})
}

// resultPattern matches the results of tests, but not those of subtests.
var resultPattern = regexp.MustCompile(`(?m)^--- (PASS|SKIP): (\S+)`)

// pathVerdict says what is wrong with what go test -v has printed for a command, of which
// other tests may have run besides.
func pathVerdict(out string, c command) string {
	match, err := matcher(c.pattern)
	if err != nil {
		return err.Error()
	}
	passed := false
	for _, m := range resultPattern.FindAllStringSubmatch(out, -1) {
		// What needs root or another program may be missing where it is not required.
		optional := !interop.Required() && (strings.HasPrefix(m[2], "TestRoot") || strings.HasPrefix(m[2], "TestInterop"))
		switch {
		case !match(m[2]):
		case m[1] == "PASS" || optional:
			passed = true
		default:
			return m[2] + " is skipped"
		}
	}
	if !passed {
		return "ran no test"
	}
	return ""
}

// What has passed, and what was skipped or never ran, is told apart.
func TestPathVerdict(t *testing.T) {
	const out = "=== RUN   TestA\n--- PASS: TestA (0.00s)\n    --- PASS: TestA/sub (0.00s)\n--- SKIP: TestB (0.00s)\n=== RUN   ExampleC\n--- PASS: ExampleC (0.00s)\nok  \tx\t0.1s\n"
	for pattern, want := range map[string]string{
		"TestA":    "",
		"^TestA$":  "",
		"ExampleC": "",
		"TestB":    "TestB is skipped",
		"Test":     "TestB is skipped",
		"TestD":    "ran no test",
		"sub":      "ran no test",
	} {
		if got := pathVerdict(out, command{pattern: pattern}); got != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}
