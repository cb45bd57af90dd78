package housework_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/netparts/netparts/housework"
)

func TestFormatErrorText(t *testing.T) {
	eof := io.ErrUnexpectedEOF
	for _, tt := range []struct {
		e    housework.FormatError
		want string
	}{
		{housework.FormatError{Path: "a/b.db", Codec: "json", Offset: 17, Err: eof}, "housework: a/b.db: json: offset 17: unexpected EOF"},
		{housework.FormatError{Codec: "json", Offset: 0, Err: eof}, "housework: json: offset 0: unexpected EOF"},
		{housework.FormatError{Path: "a b", Codec: "gob", Offset: -1, Err: eof}, "housework: a b: gob: unexpected EOF"},
		{housework.FormatError{Path: "a\n\x1b[2J", Codec: "gob", Offset: -1, Err: eof}, `housework: "a\n\x1b[2J": gob: unexpected EOF`},
		{housework.FormatError{Path: "Bücher\xff", Offset: -1, Err: eof}, `housework: "Bücher\xff": unexpected EOF`},
		{housework.FormatError{Codec: "gob", Offset: -1, Err: housework.ErrFull}, "housework: gob: list is full"},
		{housework.FormatError{Codec: "gob", Offset: -1}, "housework: gob: malformed list"},
	} {
		err := fmt.Errorf("%w", &tt.e)
		if got := err.Error(); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
		if !errors.Is(err, tt.e.Err) && tt.e.Err != nil {
			t.Errorf("%v does not match %v", err, tt.e.Err)
		}
	}
}
