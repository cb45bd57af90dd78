package logging_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/netparts/netparts/examples/logging"
)

// A type that knows that it is secret cannot be logged by mistake, also not years later by
// somebody who logs the whole of what it is a part of.
func ExampleSecret() {
	type account struct {
		Name  string
		Token logging.Secret
	}
	a := account{"gopher", logging.NewSecret("hunter2")}

	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: noTime}))
	logger.Info("login", "token", a.Token)
	logger.Info("login", "account", a)
	fmt.Println("sent to the server:", a.Token.Reveal())
	// Output:
	// level=INFO msg=login token=REDACTED
	// level=INFO msg=login account="{Name:gopher Token:REDACTED}"
	// sent to the server: hunter2
}

// What handlers do with a value depends on where it stands: one of its own is asked by LogValue,
// one in a structure is not. JSON asks for MarshalText there, and text asks fmt.
func TestSecretIsNowhere(t *testing.T) {
	const password = "hunter2"
	secret := logging.NewSecret(password)
	type exported struct{ Secret logging.Secret }
	type hidden struct{ secret logging.Secret }
	var b bytes.Buffer
	text, object := slog.New(slog.NewTextHandler(&b, nil)), slog.New(slog.NewJSONHandler(&b, nil))
	old := log.New(&b, "", 0)
	for name, v := range map[string]any{
		"itself":             secret,
		"pointer":            &secret,
		"exported field":     exported{secret},
		"hidden field":       hidden{secret},
		"pointer to a field": &hidden{secret},
		"slice":              []logging.Secret{secret},
		"slice of structs":   []hidden{{secret}},
		"map":                map[string]logging.Secret{"key": secret},
		"key of a map":       map[logging.Secret]int{secret: 1},
	} {
		b.Reset()
		text.Info("login", "value", v)
		object.Info("login", "value", v)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%!"} {
			old.Printf(verb, v)
		}
		old.Print(v)
		encoded := fmt.Sprintf("%x", password)
		if log := strings.ToLower(b.String()); strings.Contains(log, password) || strings.Contains(log, encoded) {
			t.Errorf("%s: the secret is in the log:\n%s", name, &b)
		}
	}
}

// Handlers that are not of the standard library ask for LogValue, perhaps for nothing else.
func TestSecretAsValue(t *testing.T) {
	v := slog.AnyValue(logging.NewSecret("hunter2")).Resolve()
	if v.Kind() != slog.KindString || v.String() != "REDACTED" {
		t.Errorf("the value is a %v: %v", v.Kind(), v)
	}
}

func TestSecretAsJSON(t *testing.T) {
	b, err := json.Marshal(map[string]any{"set": logging.NewSecret("hunter2"), "zero": logging.Secret{}})
	if want := `{"set":"REDACTED","zero":"REDACTED"}`; err != nil || string(b) != want {
		t.Errorf("Marshal = %s, %v, want %s", b, err, want)
	}
}

func TestSecretReveals(t *testing.T) {
	if got := logging.NewSecret("hunter2").Reveal(); got != "hunter2" {
		t.Errorf("Reveal = %q", got)
	}
	var zero logging.Secret
	if got := zero.Reveal(); got != "" {
		t.Errorf("Reveal of the zero value = %q", got)
	}
}
