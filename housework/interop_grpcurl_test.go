package housework_test

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/tlsutil"
)

// grpcurl is the program, with the address and the trust of its calls.
type grpcurl struct {
	path, address, ca string
}

// newGrpcurl builds the version that internal/tools has.
func newGrpcurl(t *testing.T) *grpcurl {
	t.Helper()
	interop.Slow(t) // it is built from a hundred packages
	out, err := exec.CommandContext(t.Context(), interop.Command(t, "go", "golang"), "tool", "-modfile=../internal/tools/go.mod", "-n", "grpcurl").Output()
	serverMust(t, err)
	return &grpcurl{path: strings.TrimSpace(string(out))}
}

// run returns what grpcurl prints, on both outputs.
func (g *grpcurl) run(t *testing.T, options []string, command ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), serverPatience)
	defer cancel()
	args := append([]string{"-cacert", g.ca, "-max-time", "15"}, options...)
	args = append(args, g.address)
	out, err := exec.CommandContext(ctx, g.path, append(args, command...)...).CombinedOutput()
	return string(out), err
}

// call calls a method and compares the answer with want, as JSON.
func (g *grpcurl) call(t *testing.T, method, request, want string) {
	t.Helper()
	out, err := g.run(t, []string{"-d", request}, method)
	if err != nil {
		t.Errorf("%s %s: %v\n%s", method, request, err, out)
		return
	}
	var got, wanted any
	serverMust(t, json.Unmarshal([]byte(want), &wanted))
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Errorf("%s: %v\n%s", method, err, out)
	}
	a, err := json.Marshal(got)
	serverMust(t, err)
	b, err := json.Marshal(wanted)
	serverMust(t, err)
	if string(a) != string(b) {
		t.Errorf("%s %s = %s, want %s", method, request, a, b)
	}
}

// A client that knows nothing of the service learns of it by reflection, and shows the
// details of errors.
func TestInteropGrpcurl(t *testing.T) {
	g := newGrpcurl(t)
	ca, material, _ := serverCA(t)
	dir := t.TempDir()
	g.ca = filepath.Join(dir, "ca.pem")
	serverMust(t, tlsutil.WriteFiles(ca.Certificate, g.ca, filepath.Join(dir, "key.pem")))
	config, err := tlsutil.ServerConfig(material, nil)
	serverMust(t, err)
	g.address = serverListen(t, &housework.Server{Rosie: serverRosie(), TLSConfig: config, Reflection: true})

	out, err := g.run(t, nil, "list")
	services := strings.Fields(out)
	if err != nil || !slices.Contains(services, "housework.RobotMaid") || !slices.Contains(services, "grpc.health.v1.Health") {
		t.Errorf("list: %q, %v", out, err)
	}
	out, err = g.run(t, nil, "describe", "housework.RobotMaid")
	if err != nil || !strings.Contains(out, "rpc Complete ( .housework.CompleteRequest ) returns ( .housework.Response );") {
		t.Errorf("describe: %s, %v", out, err)
	}
	g.call(t, "housework.RobotMaid/Add", `{"chores": [{"description": "Mop floors"}, {"description": "Dust"}], "request_id": "g1"}`, `{"message": "ok", "firstNumber": 1}`)
	g.call(t, "housework.RobotMaid/Complete", `{"chore_number": 2}`, `{"message": "ok"}`)
	g.call(t, "housework.RobotMaid/List", `{}`, `{"chores": [{"description": "Mop floors"}, {"complete": true, "description": "Dust"}]}`)
	g.call(t, "grpc.health.v1.Health/Check", `{"service": "housework.RobotMaid"}`, `{"status": "SERVING"}`)

	out, err = g.run(t, []string{"-d", `{"chore_number": 7}`}, "housework.RobotMaid/Complete")
	for _, want := range []string{"Code: NotFound", "Message: chore 7 not found", "housework.Fault", `"reason": "NOT_FOUND"`, `"choreNumber": 7`} {
		if err == nil || !strings.Contains(strings.ReplaceAll(out, `":"`, `": "`), want) {
			t.Errorf("a chore that is not there: %v, without %q:\n%s", err, want, out)
		}
	}
	if out, err := g.run(t, []string{"-plaintext"}, "list"); err == nil {
		t.Errorf("without TLS: %s", out)
	}
}
