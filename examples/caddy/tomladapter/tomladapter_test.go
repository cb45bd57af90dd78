package tomladapter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/netparts/netparts/examples/caddy/tomladapter"
)

// TOML has comments and strings of many lines, and the tables have the names of Caddy's
// JSON.
func ExampleAdapter_Adapt() {
	config, _, err := tomladapter.Adapter{}.Adapt([]byte(`
[apps.http.servers.hello] # the only one
listen = [":8080"]

[[apps.http.servers.hello.routes]]
[[apps.http.servers.hello.routes.handle]]
handler = "static_response"
body = """
Hello,
world!
"""
`), nil)
	if err != nil {
		log.Fatal(err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, config, "", " "); err != nil {
		log.Fatal(err)
	}
	fmt.Println(&indented)
	// Output:
	// {
	//  "apps": {
	//   "http": {
	//    "servers": {
	//     "hello": {
	//      "listen": [
	//       ":8080"
	//      ],
	//      "routes": [
	//       {
	//        "handle": [
	//         {
	//          "body": "Hello,\nworld!\n",
	//          "handler": "static_response"
	//         }
	//        ]
	//       }
	//      ]
	//     }
	//    }
	//   }
	//  }
	// }
}

func TestValues(t *testing.T) {
	for _, tt := range []struct{ toml, json string }{
		{`"<&>"`, `"\u003c\u0026\u003e"`},
		{`'C:\files'`, `"C:\\files"`},
		{"true", "true"},
		{"0x10", "16"},
		{"9007199254740992", "9007199254740992"},
		{"-9007199254740992", "-9007199254740992"},
		{"1.5", "1.5"},
		{"1e300", "1e+300"},
		{"[]", "[]"},
		{"[1, 'a', [true]]", `[1,"a",[true]]`},
		{"{}", "{}"},
		{"{b.c = 1}", `{"b":{"c":1}}`},
		{"1979-05-27T07:32:00Z", `"1979-05-27T07:32:00Z"`},
		{"1979-05-27 00:32:00.5-07:00", `"1979-05-27T00:32:00.5-07:00"`},
		{"1979-05-27T07:32:00", `"1979-05-27T07:32:00"`},
		{"1979-05-27", `"1979-05-27"`},
		{"07:32:00", `"07:32:00"`},
	} {
		got, warnings, err := tomladapter.Adapter{}.Adapt([]byte("a = "+tt.toml), nil)
		if want := `{"a":` + tt.json + "}"; err != nil || len(warnings) != 0 || string(got) != want {
			t.Errorf("%s: %s, %v, %v, want %s", tt.toml, got, warnings, err, want)
		}
	}
}

// manyKeys returns a document of so many bytes with a key a line.
func manyKeys(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "k%d=1\n", i)
	}
	return b.String()[:size]
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct{ name, document, want string }{
		{"syntax", "a = 1\nb = = 2\n", "line 2, column 5"},
		{"defined twice", "a = 1\n\na = 2\n", "line 3, column 1"},
		{"not closed", "a = [1\n", "line "},
		{"bytes that are no text", "a = '\xff'", "line 1, column "},
		{"byte order mark", "\xef\xbb\xbfa = 1", "line 1, column 1"},
		{"date that is none", "a = 2026-02-30", "line 1, column "},
		{"integer of more than 64 bits", "a = 9223372036854775808", "line 1, column 5"},
		{"integer that would be rounded", "[a]\nb = [0, 9007199254740993]", `"/a/b/1": the integer 9007199254740993`},
		{"negative one", "a = -9007199254740993", `"/a": the integer -9007199254740993`},
		{"nan", "a = [{b = nan}]", `"/a/0/b": JSON has no NaN`},
		{"inf", "a = -inf", `"/a": JSON has no -Inf`},
		{"nothing", "", "empty"},
		{"only comments", "# a = 1\n", "empty"},
		{"deep arrays", "a = " + strings.Repeat("[", 101) + strings.Repeat("]", 101), "nested more than 100 deep"},
		{"deep keys", strings.Repeat("a.", 100000) + "b = 1", "nested more than 100 deep"},
		{"deep table", "[" + strings.Repeat("a.", 100000) + "b]\nc = 1", "nested more than 100 deep"},
		{"very deep arrays", "a = " + strings.Repeat("[", 1<<17), "line 1, column"},
		{"too much", "a = '" + strings.Repeat("a", 256<<10) + "'", "exceeds the limit of 262144"},
		// The parser would take minutes for these.
		{"too many keys", manyKeys(8 << 20), "exceeds the limit of 262144"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := tomladapter.Adapter{}.Adapt([]byte(tt.document), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || got != nil {
				t.Fatalf("%.100s, %v, want an error with %q", got, err, tt.want)
			}
			if n := len(err.Error()); n > 500 {
				t.Errorf("the error has %d bytes", n)
			}
		})
	}
}

// As deep as is allowed is allowed.
func TestDepth(t *testing.T) {
	if _, _, err := (tomladapter.Adapter{}).Adapt([]byte("a = "+strings.Repeat("[", 100)+strings.Repeat("]", 100)), nil); err != nil {
		t.Error(err)
	}
}

// plain returns a value of TOML as JSON's decoder would: dates are strings, and numbers are
// floating-point numbers.
func plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		m := make(map[string]any)
		for key, member := range v {
			m[key] = plain(member)
		}
		return m
	case []any:
		a := make([]any, len(v))
		for i, element := range v {
			a[i] = plain(element)
		}
		return a
	case int64:
		return float64(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case fmt.Stringer: // the local dates and times
		return v.String()
	}
	return value
}

// exact reports whether JSON can hold a value of TOML as it is.
func exact(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, member := range v {
			if !exact(member) {
				return false
			}
		}
	case []any:
		for _, element := range v {
			if !exact(element) {
				return false
			}
		}
	case int64:
		return -1<<53 <= v && v <= 1<<53
	case float64:
		return !math.IsNaN(v) && !math.IsInf(v, 0)
	}
	return true
}

// What the adapter accepts means the same in JSON. What it refuses is no TOML, is empty or
// deep, or has a value that JSON cannot hold.
func FuzzAdapt(f *testing.F) {
	for _, seed := range []string{
		"a = 1",                          // an integer
		"[a]\nb = 2\n[[c]]\nd = [1, {}]", // tables and arrays
		"a.b.'c d'.\"\\u00e9\" = \"\"\"\n x \\\n y\"\"\"", // keys and strings of all kinds
		"a = 1979-05-27T07:32:00.999999-07:00",            // a date with an offset
		"a = 1979-05-27 07:32:00\nb = 07:32:00\nc = 1979-05-27",
		"a = nan",
		"a = 9007199254740993",
		"a = [[[[", // not closed
		"# nothing",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		got, warnings, err := tomladapter.Adapter{}.Adapt(bytes.Clone(document), nil)
		if len(warnings) != 0 {
			t.Errorf("warnings %v", warnings)
		}
		var want map[string]any
		tomlErr := toml.Unmarshal(document, &want)
		if err != nil {
			deep := strings.Contains(err.Error(), "nested more")
			if got != nil || tomlErr == nil && exact(want) && len(want) != 0 && !deep {
				t.Fatalf("refused %q: %v, with %q", document, err, got)
			}
			return
		}
		if tomlErr != nil || !exact(want) || len(want) == 0 {
			t.Fatalf("accepted %q as %s, %v", document, got, tomlErr)
		}
		var config any
		if err := json.Unmarshal(got, &config); err != nil {
			t.Fatalf("%q became %q: %v", document, got, err)
		}
		if !reflect.DeepEqual(config, plain(want)) {
			t.Fatalf("%q became %s, want %v", document, got, plain(want))
		}
	})
}
