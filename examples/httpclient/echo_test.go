package httpclient_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/netparts/netparts/examples/httpclient"
)

// post gives a request to the echo service.
func post(kind, body string, limit int64) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/post", strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	httpclient.Echo(limit).ServeHTTP(w, r)
	return w
}

// form is a body of the parts given, each of a header, an empty line and its content.
func form(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString("--x\r\nContent-Disposition: form-data; " + part + "\r\n")
	}
	return b.String() + "--x--\r\n"
}

const formType = "multipart/form-data; boundary=x"

// The whole shape: what each kind of body becomes, and what is left out.
func TestEcho(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "http://example.com/a%2fb?one=1&two=2&two=3", strings.NewReader(`{"n": 12345678901234567890}`))
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-Test": "<a>", "Cookie": "session=1", "Authorization": "Basic eDp5",
		"X-Forwarded-For": "198.51.100.7",
	} {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	httpclient.Echo(1<<10).ServeHTTP(w, r)
	want := `{"args":{"one":"1","two":["2","3"]},"form":{},"files":{},"data":"{\"n\": 12345678901234567890}","json":{"n":12345678901234567890},` +
		`"headers":{"Content-Type":"application/json","X-Forwarded-For":"198.51.100.7","X-Test":"\u003ca\u003e"},` +
		`"origin":"192.0.2.1","url":"http://example.com/a%2fb?one=1\u0026two=2\u0026two=3"}` + "\n"
	if w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d, %s", w.Code, w.Body)
	}
}

// Bodies of each kind, whole and broken.
func TestEchoBodies(t *testing.T) {
	for _, tt := range []struct {
		kind, body string
		status     int
		want       string // the form, the files, the data and the JSON
	}{
		{"", "text", 200, `{} {} "text" null`},
		{"text/plain", "\xff", 200, `{} {} "data:application/octet-stream;base64,/w==" null`},
		{"application/json; charset=utf-8", "[1]", 200, `{} {} "[1]" [1]`},
		{"application/json", "{", 200, `{} {} "{" null`},
		{"application/json", "null null", 200, `{} {} "null null" null`},
		{"application/x-www-form-urlencoded", "a=1&b=2&b=3", 200, `{"a":"1","b":["2","3"]} {} "" null`},
		{"application/x-www-form-urlencoded", "a=%", 400, ""},
		{formType, form("name=a\r\n\r\n1", "name=f; filename=n\r\n\r\ntext"), 200, `{"a":"1"} {"f":"text"} "" null`},
		{formType, form("name=f; filename=a\r\n\r\n\xff", "name=f; filename=b\r\n\r\n2"), 200, `{} {"f":["data:application/octet-stream;base64,/w==","2"]} "" null`},
		{formType, "--x--\r\n", 200, `{} {} "" null`},
		{formType, "", 400, ""},
		{formType, strings.TrimSuffix(form("name=a\r\n\r\n1"), "--x--\r\n"), 400, ""},
		{"multipart/form-data", form(), 400, ""},
		{formType, form(strings.Split(strings.Repeat("name=a\r\n\r\n1|", 1000)+"name=b\r\n\r\n1", "|")...), 413, ""},
		{"text/plain", strings.Repeat("x", 1<<20+1), 413, ""},
		{formType, form("name=f; filename=n\r\n\r\n" + strings.Repeat("x", 1<<20)), 413, ""},
	} {
		for _, declared := range []bool{true, false} {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.kind)
			if !declared {
				r.ContentLength = -1
			}
			w := httptest.NewRecorder()
			httpclient.Echo(1<<20).ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("%q, %.40q: %d, want %d", tt.kind, tt.body, w.Code, tt.status)
			}
			if tt.status != 200 || w.Code != 200 {
				continue
			}
			var reply struct{ Form, Files, Data, JSON json.RawMessage }
			if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil {
				t.Fatal(err)
			}
			if got := compact(t, reply.Form, reply.Files, reply.Data, reply.JSON); got != tt.want {
				t.Errorf("%q, %.40q: %s, want %s", tt.kind, tt.body, got, tt.want)
			}
		}
	}
}

// compact returns values as they are without indentation.
func compact(t *testing.T, values ...json.RawMessage) string {
	t.Helper()
	var all []string
	for _, v := range values {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b))
	}
	return strings.Join(all, " ")
}

// The methods that have no body to tell of, and those that are refused.
func TestEchoMethods(t *testing.T) {
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "PUT": 200, "PATCH": 200, "DELETE": 200, "TRACE": 405, "BREW": 405} {
		w := httptest.NewRecorder()
		httpclient.Echo(1<<10).ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", method, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	httpclient.Echo(1<<10).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?a=%zz", nil))
	if w.Code != 400 {
		t.Errorf("a query that cannot be read: %d", w.Code)
	}
}

// What costs most for its bytes: escapes, depth, names, headers of parts. It costs a multiple
// of them, and no file is left behind.
func TestEchoBoundsWhatItCosts(t *testing.T) {
	const limit = 256 << 10
	dir := t.TempDir()
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, dir)
	}
	fill := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < limit-100; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for name, tt := range map[string]struct{ kind, body string }{
		"control characters": {"text/plain", strings.Repeat("\x00", limit)},
		"deep JSON":          {"application/json", strings.Repeat("[", 9999) + strings.Repeat("]", 9999)},
		"flat JSON":          {"application/json", "[" + strings.Repeat("1,", limit/2-2) + "1]"},
		"many fields":        {"application/x-www-form-urlencoded", fill("%x&")},
		"many parts":         {formType, form(strings.Split(fill("name=a%d\r\n\r\n1|"), "|")...)},
		"many headers":       {formType, "--x\r\n" + fill("h%d: 1\r\n") + "\r\n1\r\n--x--\r\n"},
		"one header":         {formType, "--x\r\nh: " + strings.Repeat("x", limit-100) + "\r\n\r\n1\r\n--x--\r\n"},
		"one file":           {formType, form("name=f; filename=f\r\n\r\n" + strings.Repeat("\xff", limit-200))},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			w := post(tt.kind, tt.body, limit)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 128*limit {
				t.Errorf("%d: %d bytes were allocated for %d", w.Code, used, len(tt.body))
			}
			if w.Body.Len() > 16*limit {
				t.Errorf("%d: %d bytes answer %d", w.Code, w.Body.Len(), len(tt.body))
			}
		})
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Whatever comes in, the service answers, with JSON that it can stand by or with what was
// wrong, and not with much more than it got.
func FuzzEcho(f *testing.F) {
	f.Add("text/plain", "text")
	f.Add("application/json", `{"a": [1, "\ud800"]}`)
	f.Add("application/json", "\xff")
	f.Add("application/x-www-form-urlencoded", "a=1&a=2;b")
	f.Add(formType, form("name=a\r\n\r\n1", "name=f; filename=n\r\n\r\ntext"))
	f.Add("multipart/form-data; boundary=\"\"", "--\r\n\r\n----")
	f.Add("multipart/form-data; boundary*=utf-8''x", form("name*=utf-8''%ff\r\n\r\n1"))
	f.Add(formType, form("name=a\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=3D="))
	f.Fuzz(func(t *testing.T, kind, body string) {
		const limit = 4 << 10
		w := post(kind, body, limit)
		switch w.Code {
		case 200:
			var reply httpclient.Reply
			if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil {
				t.Errorf("%v in %s", err, w.Body)
			}
			if len(body) > limit || w.Body.Len() > 16*(len(kind)+len(body))+1<<10 {
				t.Errorf("%d bytes answer %d", w.Body.Len(), len(kind)+len(body))
			}
		case 400, 413:
		default:
			t.Errorf("status %d", w.Code)
		}
	})
}
