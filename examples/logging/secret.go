package logging

import (
	"fmt"
	"log/slog"
)

// redacted is what is shown in the place of a Secret.
const redacted = "REDACTED"

// A Secret is a password or a token that no log shows, by whatever way it comes there: as a
// value of slog, as a part of a larger value, by fmt with any verb, or as JSON. To use it,
// code calls [Secret.Reveal], which is what a review looks for. The zero value is empty.
type Secret struct {
	// A pointer, since fmt calls no method of a value in a field that is not exported,
	// and shows what that holds. Of pointers there it shows the address.
	value *string
}

// NewSecret returns a Secret that holds value.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Reveal returns what is secret.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// LogValue implements [slog.LogValuer], which handlers ask if the Secret is a value itself.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, which encoding/json asks if the Secret is
// part of a value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format implements [fmt.Formatter], which has each verb, where String has some.
func (s Secret) Format(state fmt.State, _ rune) { fmt.Fprint(state, redacted) }
