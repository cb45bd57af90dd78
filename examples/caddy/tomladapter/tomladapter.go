// Package tomladapter is the Caddy module caddy.adapters.toml: it reads a configuration in
// TOML 1.0 and hands it to Caddy as the JSON that Caddy works with.
//
//	caddy run --config caddy.toml --adapter toml
//
// One wants it for what JSON lacks: comments, and strings of many lines. The tables have
// the names of Caddy's JSON; the adapter knows none of them, so that Caddy reports a wrong
// name as it does for JSON.
//
// Where TOML can say what JSON cannot, the adapter decides:
//
//   - A date or time becomes a string: RFC 3339 if it has an offset, and as written if not.
//   - nan and inf are refused, and so are integers beyond 2^53 on either side: Caddy keeps
//     its configuration in floating point, which would round them.
//   - A document without a key is refused. As JSON it is {}, which stops every server, and
//     it is what another program reads while an editor has truncated a file to write it anew.
//   - Tables and arrays in each other more than 100 deep are refused, and documents of more
//     than 256 KiB: a document may come over the admin API, may nest by two bytes a level,
//     and takes the parser a time that grows with the square of the keys of one table. Longer
//     configurations are JSON's.
package tomladapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/pelletier/go-toml/v2"
)

func init() {
	caddyconfig.RegisterAdapter("toml", Adapter{})
}

const (
	maxSize    = 256 << 10
	maxDepth   = 100
	maxInteger = 1 << 53
	maxPlace   = 200
)

// Adapter turns TOML into Caddy's JSON.
type Adapter struct{}

var _ caddyconfig.Adapter = Adapter{}

// Adapt implements [caddyconfig.Adapter]. It has no options and gives no warnings. Where the
// document is no TOML, the error has the line and the column, both from 1; where a value is
// refused it has the value's place as the admin API writes it, such as
// /apps/http/servers/front/listen/0.
func (Adapter) Adapt(body []byte, _ map[string]any) ([]byte, []caddyconfig.Warning, error) {
	if len(body) > maxSize {
		return nil, nil, fmt.Errorf("tomladapter: document of %d bytes exceeds the limit of %d", len(body), maxSize)
	}
	var config map[string]any
	if err := toml.Unmarshal(body, &config); err != nil {
		return nil, nil, positioned(err)
	}
	if len(config) == 0 {
		return nil, nil, errors.New("tomladapter: the document is empty (to run nothing, load {} as JSON)")
	}
	if err := check(config, nil); err != nil {
		return nil, nil, err
	}
	result, err := json.Marshal(config)
	if err != nil {
		return nil, nil, fmt.Errorf("tomladapter: %w", err)
	}
	return result, nil, nil
}

// positioned adds the place to an error of the parser.
func positioned(err error) error {
	if at, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := at.Position()
		return fmt.Errorf("tomladapter: line %d, column %d: %w", line, column, err)
	}
	return fmt.Errorf("tomladapter: %w", err)
}

// check looks for values that JSON, or Caddy's use of it, would change. The path are the
// keys and indices on the way to the value.
func check(value any, path []string) error {
	if len(path) > maxDepth {
		return refused(path, "nested more than %d deep", maxDepth)
	}
	switch v := value.(type) {
	case map[string]any:
		for key, member := range v {
			if err := check(member, append(path, key)); err != nil {
				return err
			}
		}
	case []any:
		for i, element := range v {
			if err := check(element, append(path, fmt.Sprint(i))); err != nil {
				return err
			}
		}
	case int64:
		if v > maxInteger || v < -maxInteger {
			return refused(path, "the integer %d would be rounded; write a string if one will do", v)
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return refused(path, "JSON has no %v", v)
		}
	}
	return nil
}

// refused is the error for the value at a path, of which it shows the beginning: keys may
// be of any length.
func refused(path []string, format string, args ...any) error {
	place := "/" + strings.Join(path, "/")
	if len(place) > maxPlace {
		place = place[:maxPlace] + "..."
	}
	return fmt.Errorf("tomladapter: %q: %s", place, fmt.Sprintf(format, args...))
}
