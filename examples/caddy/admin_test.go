package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// wantAPI sends a request to the admin API and compares what it answers.
func wantAPI(t *testing.T, method, path, body string, status int, answer string) {
	t.Helper()
	gotStatus, got := api(t, method, path, body)
	if gotStatus != status || got != answer {
		t.Errorf("%s %s %s: %d %s\nwant %d %s", method, path, body, gotStatus, got, status, answer)
	}
}

// wantBody asks a port of 127.0.0.1, which must come to answer with a text. No text means
// that nobody must listen. While one configuration takes over from another both listen, so
// that the older one may answer once more.
func wantBody(t *testing.T, port int, want string) {
	t.Helper()
	addr := hostPort("127.0.0.1", port)
	if want == "" {
		eventually(t, addr+" is closed", func() bool { return !listens("127.0.0.1", port) })
		return
	}
	client := newClient(t, nil)
	eventually(t, addr+" answers "+want, func() bool {
		defer client.CloseIdleConnections() // or the same server would answer each time
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return err == nil && string(b) == want
	})
}

// startHello runs caddy.json on a port, by a request to the admin API.
func startHello(t *testing.T, port int) {
	t.Helper()
	load(t, configuration(object{})) // the admin API alone
	b, err := os.ReadFile("caddy.json")
	if err != nil {
		t.Fatal(err)
	}
	var file object
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	servers := file["apps"].(object)["http"].(object)["servers"].(object)
	servers["hello"].(object)["listen"] = []string{hostPort("127.0.0.1", port)}
	wantAPI(t, http.MethodPost, "/load", string(encode(t, configuration(servers))), 200, "")
	wantBody(t, port, "Hello, world!")
}

// A server that runs is given another configuration by a request, without a restart.
func TestLoad(t *testing.T) {
	port := freePorts(t, 1)
	startHello(t, port)

	// The whole configuration is what was loaded.
	status, answer := api(t, http.MethodGet, "/config/", "")
	var got object
	if err := json.Unmarshal([]byte(answer), &got); err != nil || status != 200 {
		t.Fatal(status, answer, err)
	}
	if got["apps"] == nil || !reflect.DeepEqual(got["admin"], object{"listen": admin, "config": object{"persist": false}}) {
		t.Errorf("the configuration is %v", got)
	}
	// Without the slash the answer leads there. It is a 307: a client that follows sends
	// the same method and body again.
	if status, _ := api(t, http.MethodGet, "/config", ""); status != http.StatusTemporaryRedirect {
		t.Errorf("GET /config: %d", status)
	}

	// What is loaded takes the place of everything. Here it comes as TOML: the name of the
	// adapter is in the type.
	document := "[apps.http.servers.other]\nlisten = ['" + hostPort("127.0.0.1", port) + "']\n" +
		"routes = [{ handle = [{ handler = 'static_response', body = 'from TOML' }] }]\n" +
		"[admin]\nlisten = '" + admin + "'\nconfig.persist = false\n" +
		"[logging.logs.default]\nwriter.output = 'test_journal'\n"
	if status, answer := api(t, http.MethodPost, "/load", document, "text/toml"); status != 200 {
		t.Fatal(status, answer)
	}
	wantBody(t, port, "from TOML")
	wantAPI(t, http.MethodGet, "/config/apps/http/servers/hello", "", 200, "null")
	// To see what an adapter makes of a document, without running it:
	if status, answer := api(t, http.MethodPost, "/adapt", "a.b = [1]", "text/toml"); status != 200 || answer != `{"result":{"a":{"b":[1]}}}` {
		t.Error(status, answer)
	}
}

// Every key of the JSON is a part of the path, and every index. A key that is missing is
// null at the end of a path, and an error on the way.
func TestTraverse(t *testing.T) {
	port := freePorts(t, 1)
	addr := hostPort("127.0.0.1", port)
	startHello(t, port)
	const hello = "/config/apps/http/servers/hello"
	wantAPI(t, http.MethodGet, hello+"/listen", "", 200, `["`+addr+`"]`)
	wantAPI(t, http.MethodGet, hello+"/listen/", "", 200, `["`+addr+`"]`)
	wantAPI(t, http.MethodGet, hello+"/listen/0", "", 200, `"`+addr+`"`)
	wantAPI(t, http.MethodGet, hello+"/routes/0/handle/0/body", "", 200, `"Hello, world!"`)
	wantAPI(t, http.MethodGet, hello+"/missing", "", 200, "null")
	wantAPI(t, http.MethodGet, hello+"/missing/below", "", 400, `{"error":"invalid traversal path at: config/apps/http/servers/hello/missing/below"}`)
	wantAPI(t, http.MethodGet, hello+"/listen/1", "", 400, `{"error":"[`+hello+`/listen/1] array index out of bounds: 1"}`)
}

// POST to an array appends to it. The server goes on with what it has, and opens the new
// address besides. PATCH replaces what is there, here by a range of ports.
func TestAppendAndReplace(t *testing.T) {
	port := freePorts(t, 4)
	startHello(t, port)
	const listen = "/config/apps/http/servers/hello/listen"
	first, second := hostPort("127.0.0.1", port), hostPort("127.0.0.1", port+1)
	wantAPI(t, http.MethodPost, listen, `"`+second+`"`, 200, "")
	wantAPI(t, http.MethodGet, listen, "", 200, `["`+first+`","`+second+`"]`)
	wantBody(t, port, "Hello, world!")
	wantBody(t, port+1, "Hello, world!")

	// curl -d sends another type, which is refused.
	if status, answer := api(t, http.MethodPost, listen, `"x"`, "application/x-www-form-urlencoded"); status != 400 {
		t.Error(status, answer)
	}

	ports := first + "-" + second[len(second)-5:]
	wantAPI(t, http.MethodPatch, listen, `["`+ports+`"]`, 200, "")
	wantAPI(t, http.MethodGet, listen, "", 200, `["`+ports+`"]`)
	wantBody(t, port, "Hello, world!")
	wantBody(t, port+1, "Hello, world!")
	wantBody(t, port+2, "")

	// Of an array, PATCH also replaces one element, PUT inserts one, DELETE takes one out.
	third := hostPort("127.0.0.1", port+2)
	wantAPI(t, http.MethodPatch, listen+"/0", `"`+first+`"`, 200, "")
	wantAPI(t, http.MethodPut, listen+"/0", `"`+third+`"`, 200, "")
	wantAPI(t, http.MethodGet, listen, "", 200, `["`+third+`","`+first+`"]`)
	wantAPI(t, http.MethodDelete, listen+"/1", "", 200, "")
	wantBody(t, port+2, "Hello, world!")
	wantBody(t, port, "")
	wantAPI(t, http.MethodPatch, "/config/apps/http/servers/hello/missing", "1", 404,
		`{"error":"[/config/apps/http/servers/hello/missing] key does not exist: missing"}`)
}

// A server is added, and taken away again, without touching the one that runs. POST and
// PUT both add; POST replaces what is there, where PUT refuses.
func TestAddAndDelete(t *testing.T) {
	port := freePorts(t, 2)
	startHello(t, port)
	const path = "/config/apps/http/servers/test"
	test := func(body string) string {
		return string(encode(t, respond(body, hostPort("127.0.0.1", port+1))))
	}
	wantAPI(t, http.MethodPost, path, test("Welcome!"), 200, "")
	wantBody(t, port+1, "Welcome!")
	wantBody(t, port, "Hello, world!")

	wantAPI(t, http.MethodPut, path, test("Again!"), 409, `{"error":"[`+path+`] key already exists: test"}`)
	wantBody(t, port+1, "Welcome!")
	wantAPI(t, http.MethodPost, path, test("Again!"), 200, "")
	wantBody(t, port+1, "Again!")

	wantAPI(t, http.MethodDelete, path, "", 200, "")
	wantBody(t, port+1, "")
	wantBody(t, port, "Hello, world!")
	wantAPI(t, http.MethodDelete, path, "", 404, `{"error":"[`+path+`] key does not exist: test"}`)

	wantAPI(t, http.MethodPut, path, test("Put!"), 200, "")
	wantBody(t, port+1, "Put!")
}

// Two who change the configuration at once do not undo each other's work: each sends back
// the Etag of what it has read, and the later one is refused.
func TestIfMatch(t *testing.T) {
	startHello(t, freePorts(t, 1))
	const path = "/config/apps/http/servers/hello/routes/0/handle/0/body"
	resp, _ := apiHeader(t, http.MethodGet, path, "", nil)
	header := http.Header{"Content-Type": {"application/json"}, "If-Match": {resp.Header.Get("Etag")}}
	for i, want := range []int{200, http.StatusPreconditionFailed} {
		if resp, answer := apiHeader(t, http.MethodPatch, path, `"Changed."`, header); resp.StatusCode != want {
			t.Errorf("request %d: %d %s, want %d", i, resp.StatusCode, answer, want)
		}
	}
	wantAPI(t, http.MethodGet, path, "", 200, `"Changed."`)
}

// A configuration that cannot run changes nothing: what ran goes on, and what the admin API
// shows is what runs.
func TestBadConfigurationKeepsTheOldOne(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()

	port := freePorts(t, 2)
	startHello(t, port)
	_, before := api(t, http.MethodGet, "/config/", "")
	server := func(handler object, listen ...string) string {
		return string(encode(t, configuration(object{"bad": object{
			"listen": listen,
			"routes": []object{{"handle": []object{handler}}},
		}})))
	}
	free := hostPort("127.0.0.1", port+1)
	for _, tt := range []struct {
		name, method, path, body, contentType string
		status                                int
		part                                  string // of the answer
	}{
		{"no JSON", "POST", "/load", `{"apps":`, "application/json", 400, "unexpected end of JSON input"},
		{"no TOML", "POST", "/load", "[admin]\na = = 1", "text/toml", 400, "line 2, column 5"},
		{"empty TOML", "POST", "/load", "# nothing\n", "text/toml", 400, "empty"},
		{"no adapter", "POST", "/load", "a: 1", "text/yaml", 400, "unrecognized config adapter"},
		{"unknown key", "POST", "/load", `{"app":{}}`, "application/json", 400, `unknown field \"app\"`},
		{"unknown module", "POST", "/load", server(object{"handler": "nope"}, free), "application/json", 400, "unknown module: http.handlers.nope"},
		{"bad prefix", "POST", "/load", server(object{"handler": "restrict_prefix", "prefix": "/."}, free), "application/json", 400, `prefix: '/' in \"/.\"`},
		{"bad exemption", "POST", "/load", server(object{"handler": "restrict_prefix", "exempt": []string{""}}, free), "application/json", 400, "exempt: the name is empty"},
		{"port in use", "POST", "/load", server(object{"handler": "static_response"}, free, taken.Addr().String()), "application/json", 400, "in use"},
		{"too many ports", "POST", "/load", server(object{"handler": "static_response"}, "127.0.0.1:1-70000"), "application/json", 400, "invalid"},
		{"no JSON in a part", "POST", "/config/apps/http/servers/bad", "{", "application/json", 500, "unexpected end of JSON input"},
		{"unknown module in a part", "POST", "/config/apps/http/servers/hello/routes/0/handle", `{"handler":"nope"}`, "application/json", 500, "unknown module"},
		{"wrong type in a part", "PATCH", "/config/apps/http/servers/hello/listen", `7`, "application/json", 500, "cannot unmarshal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, answer := api(t, tt.method, tt.path, tt.body, tt.contentType)
			if status != tt.status || !strings.Contains(answer, tt.part) {
				t.Errorf("%d %s, want %d and %s", status, answer, tt.status, tt.part)
			}
			wantBody(t, port, "Hello, world!")
			wantBody(t, port+1, "")
			wantAPI(t, http.MethodGet, "/config/", "", 200, before)
		})
	}
}

// Unless told otherwise, Caddy writes down what it was given over the admin API, and
// "caddy run --resume" begins with that.
func TestAutosave(t *testing.T) {
	config := configuration(object{})
	config["admin"] = object{"listen": admin}
	load(t, config)
	t.Cleanup(func() { _ = os.Remove(caddy.ConfigAutosavePath) }) // gone with home at the latest
	got, err := os.ReadFile(caddy.ConfigAutosavePath)
	if err != nil {
		t.Fatal(err)
	}
	if want := encode(t, config); string(got) != string(want) {
		t.Errorf("%s\nwant %s", got, want)
	}
}
