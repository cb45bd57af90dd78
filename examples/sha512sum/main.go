// Sha512sum prints the SHA-512/256 checksums of files, to compare what was
// transferred with what was served.
//
//	sha512sum file...
//
// It prints one line for each file, the checksum in hexadecimal, two spaces and the
// name. The name - is the standard input. A file that cannot be read is reported
// on the standard error, and the others are done nevertheless. The exit status is
// 0, or 1 if a file could not be read, or 2 for wrong usage.
package main

import (
	"crypto/sha512"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the program: it returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("sha512sum", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprintln(stderr, "usage: sha512sum file...") }
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() == 0:
		flags.Usage()
		return 2
	}
	status := 0
	for _, name := range flags.Args() {
		sum, err := checksum(name, stdin)
		if err == nil {
			_, err = fmt.Fprintf(stdout, "%x  %s\n", sum, name)
		}
		if err != nil {
			fmt.Fprintf(stderr, "sha512sum: %v\n", err)
			status = 1
		}
	}
	return status
}

// checksum reads the file called name to its end.
func checksum(name string, stdin io.Reader) ([]byte, error) {
	r := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		r = file
	}
	h := sha512.New512_256()
	if _, err := io.Copy(h, r); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}
