package cloud

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Google builds this folder alone: the rest of the repository, which go.mod replaces a
// module by, is not there. With a vendor folder that is enough, and the framework is in
// it because gcp/cmd imports it.
func TestFolderBuildsAlone(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is not in the path")
	}
	alone := t.TempDir()
	if err := os.CopyFS(alone, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	run := func(dir string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOPROXY=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run(".", "mod", "vendor", "-o", filepath.Join(alone, "vendor"))
	out := run(alone, "list", "-deps", ".", "./gcp/cmd", "github.com/GoogleCloudPlatform/functions-framework-go/funcframework")
	for _, want := range []string{"github.com/netparts/netparts/httpmw", "github.com/netparts/netparts/examples/cloud/gcp"} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("%s is not among the packages:\n%s", want, out)
		}
	}
}
