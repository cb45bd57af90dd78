package chores

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/netparts/netparts/housework"
)

// ParseFlags reads the flags and the arguments of a program. Check looks at the flags
// when they have been read. What is wrong is told on stderr, with the usage.
func ParseFlags(flags *flag.FlagSet, args []string, stderr io.Writer, check func() error) (*Command, error) {
	flags.SetOutput(io.Discard) // what the flags say of an argument is told below
	flags.Usage = func() {}
	command := new(Command)
	err := flags.Parse(args)
	if err == nil {
		err = check()
	}
	if err == nil {
		command, err = Parse(flags.Args())
	}
	if err == nil {
		return command, nil
	}
	if !errors.Is(err, flag.ErrHelp) {
		Complain(stderr, flags.Name(), err)
	}
	fmt.Fprintf(stderr, `Usage: %s [flags] [add chore, ... | complete number ...]
  add       adds chores, which commas separate
  complete  marks chores as done, all or none
Without either it shows the list.

Flags:
`, flags.Name())
	flags.SetOutput(stderr)
	flags.PrintDefaults()
	return nil, err
}

// Parse reads the arguments behind the flags.
func Parse(args []string) (*Command, error) {
	if len(args) == 0 {
		return new(Command), nil
	}
	switch verb, rest := strings.ToLower(args[0]), args[1:]; verb {
	case "add":
		added, err := split(strings.Join(rest, " "))
		return &Command{added: added}, err
	case "complete":
		return parseNumbers(rest)
	}
	return nil, fmt.Errorf("unknown command %q", args[0])
}

// parseNumbers reads the numbers of chores.
func parseNumbers(args []string) (*Command, error) {
	if len(args) == 0 {
		return nil, errors.New("complete needs the number of a chore")
	}
	c := new(Command)
	for _, arg := range args {
		n, err := strconv.Atoi(arg)
		switch {
		case errors.Is(err, strconv.ErrRange):
			c.tooLarge = arg
		case err != nil:
			return nil, fmt.Errorf("%q is not the number of a chore", arg)
		}
		c.complete = append(c.complete, n)
	}
	return c, nil
}

// split returns the chores in text, which commas separate. One that begins with a
// quote goes on to the next quote that stands alone: commas in it are text, and two
// quotes are one. A quote elsewhere is text, as in 5" nails. Blanks around a chore
// are dropped, and so is a chore that has nothing else.
func split(text string) ([]housework.Chore, error) {
	var chores []housework.Chore
	for more := true; more; {
		var item string
		text = strings.TrimSpace(text)
		if rest, quoted := strings.CutPrefix(text, `"`); quoted {
			var err error
			if item, text, err = unquote(rest); err != nil {
				return nil, err
			}
			var between string
			if between, text, more = strings.Cut(text, ","); strings.TrimSpace(between) != "" {
				return nil, fmt.Errorf("no comma between the quoted %q and %q", item, strings.TrimSpace(between))
			}
		} else {
			item, text, more = strings.Cut(text, ",")
		}
		if item = strings.TrimSpace(item); item != "" {
			chores = append(chores, housework.Chore{Description: item})
		}
	}
	return chores, nil
}

// unquote returns what stands before the closing quote of text, and behind it.
func unquote(text string) (item, rest string, err error) {
	var b strings.Builder
	for rest = text; ; {
		before, after, closed := strings.Cut(rest, `"`)
		if !closed {
			return "", "", fmt.Errorf("no closing quote of %q", text)
		}
		b.WriteString(before)
		var double bool
		if rest, double = strings.CutPrefix(after, `"`); !double {
			return b.String(), rest, nil
		}
		b.WriteByte('"')
	}
}
