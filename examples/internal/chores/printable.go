package chores

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Complain writes an error on one line, behind the name of the program.
func Complain(stderr io.Writer, name string, err error) {
	text := err.Error()
	for _, library := range []string{"housework: ", "tlsutil: "} {
		text = strings.TrimPrefix(text, library) // which is no news to a user
	}
	text = strings.ReplaceAll(text, "\n", "; ") // of joined errors
	fmt.Fprintf(stderr, "%s: %s\n", name, Printable(text))
}

// Printable returns s as a terminal shows it on one line. What others have written
// may hold what clears a screen, forges further lines, or turns the order of the text
// around: that comes out as the escapes of Go. A backslash stays as it is.
func Printable(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case harmless(r):
			b.WriteString(s[i : i+size])
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return b.String()
}

// harmless reports whether a terminal shows the rune as one of the text. Among those
// are spaces, and the two joiners, without which some scripts and emoji are not
// written.
func harmless(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return unicode.IsPrint(r) || unicode.Is(unicode.Zs, r) || r == nonJoiner || r == joiner
}
