package chores

import (
	"bytes"
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"
)

func TestAddArguments(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"one", []string{"Mop", "floors"}, []string{"Mop floors"}},
		{"the book's", []string{"Mop", "floors,", "Clean", "dishes,", "Mow", "the", "lawn"}, []string{"Mop floors", "Clean dishes", "Mow the lawn"}},
		{"one word for the shell", []string{"Mop floors,Clean dishes"}, []string{"Mop floors", "Clean dishes"}},
		{"nothing", nil, nil},
		{"an empty argument", []string{""}, nil},
		{"nothing but commas and blanks", []string{" ,", "\t,,\n", ","}, nil},
		{"blanks around chores", []string{"  a b ,, c\u00a0"}, []string{"a b", "c"}},
		{"blanks within", []string{"a  b"}, []string{"a  b"}},
		{"quoted", []string{`Mop floors, "Dust, all rooms"`}, []string{"Mop floors", "Dust, all rooms"}},
		{"quoted in several arguments", []string{"Mop", "floors,", `"Dust,`, "all", `rooms",`, "Sleep"}, []string{"Mop floors", "Dust, all rooms", "Sleep"}},
		{"quoted, then blanks", []string{`"a,b" , c`}, []string{"a,b", "c"}},
		{"two quotes for one", []string{`"the ""big"" one, too","""", ""`}, []string{`the "big" one, too`, `"`}},
		{"quoted nothing", []string{`"", "  ",,`}, nil},
		{"quoted blanks around", []string{`" a, b "`}, []string{"a, b"}},
		{"a quote within", []string{`Buy 5" nails, say "hi"`}, []string{`Buy 5" nails`, `say "hi"`}},
		{"a backslash", []string{`"C:\", D:\`}, []string{`C:\`, `D:\`}},
		{"other quotes", []string{`'a, b'`}, []string{`'a`, `b'`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			command, err := Parse(append([]string{"add"}, tt.args...))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range command.added {
				got = append(got, c.Description)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("added %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCompleteArguments(t *testing.T) {
	for _, verb := range []string{"complete", "COMPLETE", "Complete"} {
		command, err := Parse([]string{verb, "3", "1", "+2", "-7", "2147483647"})
		if err != nil {
			t.Fatal(err)
		}
		if want := []int{3, 1, 2, -7, 2147483647}; !slices.Equal(command.complete, want) {
			t.Errorf("%s: completes %d, want %d", verb, command.complete, want)
		}
	}
}

// What is wrong is told in one line, before the usage.
func TestMisuse(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"remove", "1"}, `unknown command "remove"`},
		{[]string{""}, `unknown command ""`},
		{[]string{"\x1b[2J"}, `unknown command "\x1b[2J"`},
		{[]string{"complete"}, "complete needs the number of a chore"},
		{[]string{"complete", ""}, `"" is not the number of a chore`},
		{[]string{"complete", "1", "one"}, `"one" is not the number of a chore`},
		{[]string{"complete", "1,2"}, `"1,2" is not the number of a chore`},
		{[]string{"complete", "1.0"}, `"1.0" is not the number of a chore`},
		{[]string{"complete", "0x1"}, `"0x1" is not the number of a chore`},
		{[]string{"complete", "99999999999999999999", "one"}, `"one" is not the number of a chore`},
		{[]string{"add", `"Dust, all`, "rooms"}, `no closing quote of "Dust, all rooms"`},
		{[]string{"add", `"`}, `no closing quote of ""`},
		{[]string{"add", `"a""`}, `no closing quote of "a\"\""`},
		{[]string{"add", `x, "Dust, all" rooms, y`}, `no comma between the quoted "Dust, all" and "rooms"`},
		{[]string{"-no-such-flag"}, "flag provided but not defined: -no-such-flag"},
		{[]string{"-bad", "x"}, "the check says no"},
	} {
		flags := flag.NewFlagSet("program", flag.ContinueOnError)
		bad := flags.String("bad", "", "a `text`")
		var stderr bytes.Buffer
		command, err := ParseFlags(flags, tt.args, &stderr, func() error {
			if *bad != "" {
				return errors.New("the check says no")
			}
			return nil
		})
		if err == nil || command != nil {
			t.Errorf("%q: %+v, %v", tt.args, command, err)
		}
		first, usage, _ := strings.Cut(stderr.String(), "\n")
		if first != "program: "+tt.want || !strings.HasPrefix(usage, "Usage: program [flags] [add ") || !strings.Contains(usage, "\nFlags:\n  -bad text\n") {
			t.Errorf("%q: stderr %q, want %q and the usage", tt.args, &stderr, tt.want)
		}
	}
}

func TestHelp(t *testing.T) {
	var stderr bytes.Buffer
	flags := flag.NewFlagSet("program", flag.ContinueOnError)
	_, err := ParseFlags(flags, []string{"-h"}, &stderr, func() error { return nil })
	if !errors.Is(err, flag.ErrHelp) || !strings.HasPrefix(stderr.String(), "Usage: program ") {
		t.Errorf("%v, stderr %q", err, &stderr)
	}
}
