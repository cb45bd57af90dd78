// Certgen makes a certificate and its key, for a server, a client or both.
//
//	certgen [flags]
//
//	-host LIST     names and addresses that it is for, with commas between (localhost)
//	-cert FILE     where the certificate goes (cert.pem)
//	-key FILE      where its key goes (key.pem)
//	-ca FILE       certificate of the authority that issues it
//	-ca-key FILE   the key of the authority
//	-client        it is for clients
//	-server        it is for servers; if neither is said, it is for both
//	-days N        how long it is valid (365)
//
// Without -ca it is self-signed: peers have the certificate itself among their
// roots. With -ca and -ca-key it is issued by the authority in these files, and is not valid
// for longer than that; if neither file is there, an authority is made and written to
// them first, for ten years. An authority that is there is never overwritten, a
// certificate and a key are.
//
// A client alone may be for no host, with -host "".
//
// It prints a line "wrote FILE" for each file, and the pin of the certificate's key. Keys can
// be read by this user alone. The exit status is 0, or 1 after a failure, or 2 for
// wrong usage.
package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/netparts/netparts/tlsutil"
)

// maxDays keeps the year of four digits, and the duration an int64.
const maxDays = 100_000

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// A config is what the flags say.
type config struct {
	leaf      tlsutil.Leaf
	cert, key string
	ca, caKey string
}

// run is the program: it returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	var c config
	switch err := c.parse(args, stderr); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := c.generate(stdout); err != nil {
		fmt.Fprintf(stderr, "certgen: %s\n", printable(err))
		return 1
	}
	return 0
}

// parse reads the flags. What is wrong with them it has told on stderr.
func (c *config) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("certgen", flag.ContinueOnError)
	hosts := flags.String("host", "localhost", "`list` of names and addresses that it is for, with commas between")
	flags.StringVar(&c.cert, "cert", "cert.pem", "`file` that the certificate goes to")
	flags.StringVar(&c.key, "key", "key.pem", "`file` that its key goes to")
	flags.StringVar(&c.ca, "ca", "", "`file` with the certificate of the authority that issues it")
	flags.StringVar(&c.caKey, "ca-key", "", "`file` with the key of the authority")
	flags.BoolVar(&c.leaf.Client, "client", false, "it is for clients")
	flags.BoolVar(&c.leaf.Server, "server", false, "it is for servers; if neither is said, it is for both")
	days := flags.Int("days", 365, "how many `days` it is valid")
	flags.SetOutput(io.Discard) // what the flags say of an argument is told below
	err := flags.Parse(args)
	if err == nil {
		err = c.check(*hosts, *days, flags.Args())
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stderr, "certgen: %s\n", printable(err))
	}
	fmt.Fprintln(stderr, "usage: certgen [flags]")
	flags.SetOutput(stderr)
	flags.PrintDefaults()
	return err
}

// check takes what stands for more than a name, and returns what is wrong.
func (c *config) check(hosts string, days int, args []string) error {
	switch {
	case len(args) > 0:
		return fmt.Errorf("unexpected argument %q", args[0])
	case days <= 0 || days > maxDays:
		return fmt.Errorf("-days must be from 1 to %d", maxDays)
	case c.cert == "" || c.key == "":
		return errors.New("-cert and -key must not be empty")
	case (c.ca == "") != (c.caKey == ""):
		return errors.New("-ca and -ca-key belong together")
	}
	for _, name := range []string{c.cert, c.key} {
		if c.ca != "" && (replaces(name, c.ca) || replaces(name, c.caKey)) {
			return fmt.Errorf("%s is a file of the authority, which is not overwritten", name)
		}
	}
	c.leaf.Lifetime = time.Duration(days) * 24 * time.Hour
	if strings.TrimSpace(hosts) != "" {
		for host := range strings.SplitSeq(hosts, ",") {
			c.leaf.Hosts = append(c.leaf.Hosts, strings.TrimSpace(host))
		}
	}
	// What cannot be self-signed, nobody can sign. What an authority does not want to
	// sign is a failure rather than wrong usage.
	_, err := tlsutil.SelfSigned(c.leaf)
	return err
}

// generate makes the certificate and writes the files.
func (c *config) generate(stdout io.Writer) error {
	var cert tls.Certificate
	var err error
	if c.ca == "" {
		cert, err = tlsutil.SelfSigned(c.leaf)
	} else {
		cert, err = c.issue(stdout)
	}
	if err != nil {
		return err
	}
	if err := tlsutil.WriteFiles(cert, c.cert, c.key); err != nil {
		return err
	}
	if err := report(stdout, files(c.cert, c.key)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "pin %v\n", tlsutil.PinOf(cert.Leaf))
	return err
}

// issue lets the authority make the certificate, and makes the authority if need be.
func (c *config) issue(stdout io.Writer) (tls.Certificate, error) {
	hasCert, err := isThere(c.ca)
	if err != nil {
		return tls.Certificate{}, err
	}
	hasKey, err := isThere(c.caKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	var ca *tlsutil.CA
	switch {
	case hasCert && hasKey:
		ca, err = tlsutil.LoadCA(c.ca, c.caKey)
	case hasCert:
		err = fmt.Errorf("%s is there, and its key %s is not", c.ca, c.caKey)
	case hasKey:
		err = fmt.Errorf("the key %s is there, and its certificate %s is not", c.caKey, c.ca)
	default:
		ca, err = c.makeAuthority(stdout)
	}
	if err != nil {
		return tls.Certificate{}, err
	}
	return ca.Issue(c.leaf)
}

// makeAuthority makes and writes it.
func (c *config) makeAuthority(stdout io.Writer) (*tlsutil.CA, error) {
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	if err != nil {
		return nil, err
	}
	names := files(c.ca, c.caKey)
	if err := claim(names); err != nil {
		return nil, err
	}
	if err := tlsutil.WriteFiles(ca.Certificate, c.ca, c.caKey); err != nil {
		release(names)
		return nil, err
	}
	return ca, report(stdout, names)
}

// claim makes empty files, so that of two programs at once only one makes the
// authority, and none overwrites that of the other.
func claim(names []string) error {
	for i, name := range names {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			release(names[:i])
			return err
		}
		if err := f.Close(); err != nil {
			release(names[:i+1])
			return err
		}
	}
	return nil
}

func release(names []string) {
	for _, name := range names {
		os.Remove(name) // what went wrong before is what is told
	}
}

// files returns the names of the files of a certificate and its key, which may be one.
func files(certFile, keyFile string) []string {
	if isSame(certFile, keyFile) {
		return []string{certFile}
	}
	return []string{certFile, keyFile}
}

// report prints the names of files that have been written.
func report(stdout io.Writer, names []string) error {
	for _, name := range names {
		if _, err := fmt.Fprintf(stdout, "wrote %s\n", name); err != nil {
			return err
		}
	}
	return nil
}

// isThere reports whether there is anything of that name, a link to nothing included.
func isThere(name string) (bool, error) {
	_, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// isSame reports whether two names are those of one file in one folder.
func isSame(a, b string) bool {
	if filepath.Base(a) != filepath.Base(b) {
		return false
	}
	folderA, errA := os.Stat(filepath.Dir(a))
	folderB, errB := os.Stat(filepath.Dir(b))
	return errA == nil && errB == nil && os.SameFile(folderA, folderB)
}

// replaces reports whether to write a file called name takes another away, which may be a
// link to it, or on some systems its name in capitals.
func replaces(name, other string) bool {
	a, errA := os.Lstat(name) // as a link itself is replaced
	b, errB := os.Stat(other)
	return isSame(name, other) || errA == nil && errB == nil && os.SameFile(a, b)
}

// printable returns an error in one line that a terminal shows as it is, whatever
// the names of files in it are.
func printable(err error) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.TrimPrefix(err.Error(), "tlsutil: "))
}
