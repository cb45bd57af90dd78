package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/tlsutil"
)

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// runHere runs the program in a folder that is new for the test.
func runHere(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}

// generated runs the program, which must succeed and print that it wrote files and the pin
// of the certificate in the last but one, which it returns.
func generated(t *testing.T, args []string, wrote ...string) *x509.Certificate {
	t.Helper()
	status, stdout, stderr := runHere(args...)
	if status != 0 || stderr != "" {
		t.Fatalf("certgen %q = %d, %q", args, status, stderr)
	}
	last := wrote[max(len(wrote)-2, 0)]
	cert, err := tls.LoadX509KeyPair(last, wrote[len(wrote)-1])
	noError(t, err)
	pin := "pin " + tlsutil.PinOf(cert.Leaf).String() + "\n"
	if want := "wrote " + strings.Join(wrote, "\nwrote ") + "\n" + pin; stdout != want {
		t.Errorf("certgen %q printed\n%swant\n%s", args, stdout, want)
	}
	return cert.Leaf
}

// wantUsages makes sure of what a certificate is accepted for.
func wantUsages(t *testing.T, cert, root *x509.Certificate, server, client bool) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(root)
	for usage, want := range map[x509.ExtKeyUsage]bool{x509.ExtKeyUsageServerAuth: server, x509.ExtKeyUsageClientAuth: client} {
		_, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}})
		if (err == nil) != want {
			t.Errorf("for usage %v: %v, want it accepted: %v", usage, err, want)
		}
	}
}

func wantEntries(t *testing.T, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(".")
	noError(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
}

// Without flags it does what that of the book does.
func TestSelfSigned(t *testing.T) {
	t.Chdir(t.TempDir())
	cert := generated(t, nil, "cert.pem", "key.pem")
	if !slices.Equal(cert.DNSNames, []string{"localhost"}) || len(cert.IPAddresses) > 0 || cert.IsCA {
		t.Errorf("for %q and %v, authority: %v", cert.DNSNames, cert.IPAddresses, cert.IsCA)
	}
	wantUsages(t, cert, cert, true, true)
	if left := time.Until(cert.NotAfter).Round(time.Hour); left != 365*24*time.Hour {
		t.Errorf("valid for %v", left)
	}
	// A second run replaces them.
	if again := generated(t, nil, "cert.pem", "key.pem"); again.Equal(cert) {
		t.Error("it is the same certificate")
	}
	wantEntries(t, "cert.pem", "key.pem")
	if info, err := os.Stat("key.pem"); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("the key's file has mode %v, %v", info.Mode(), err)
	}
}

func TestFlags(t *testing.T) {
	t.Chdir(t.TempDir())
	cert := generated(t, []string{"-host", "A.example, 127.0.0.1 ,::1", "-server", "-days", "2", "-cert", "c", "-key", "k"}, "c", "k")
	if !slices.Equal(cert.DNSNames, []string{"a.example"}) || len(cert.IPAddresses) != 2 {
		t.Errorf("for %q and %v", cert.DNSNames, cert.IPAddresses)
	}
	if left := time.Until(cert.NotAfter).Round(time.Hour); left != 48*time.Hour {
		t.Errorf("valid for %v", left)
	}
	wantUsages(t, cert, cert, true, false)
	cert = generated(t, []string{"-client", "-host", ""}, "cert.pem", "key.pem")
	wantUsages(t, cert, cert, false, true)
	cert = generated(t, []string{"-client", "-server"}, "cert.pem", "key.pem")
	wantUsages(t, cert, cert, true, true)
	generated(t, []string{"-cert", "both", "-key", "./both"}, "both")
	wantEntries(t, "both", "c", "cert.pem", "k", "key.pem")
}

// An authority is made once, and stays.
func TestAuthority(t *testing.T) {
	t.Chdir(t.TempDir())
	first := generated(t, authority, "ca.pem", "ca-key.pem", "cert.pem", "key.pem")
	ca, err := tlsutil.LoadCA("ca.pem", "ca-key.pem")
	noError(t, err)
	wantUsages(t, first, ca.Certificate.Leaf, true, true)
	second := generated(t, slices.Concat(authority, []string{"-client", "-days", "9999"}), "cert.pem", "key.pem")
	wantUsages(t, second, ca.Certificate.Leaf, false, true)
	if !second.NotAfter.Equal(ca.Certificate.Leaf.NotAfter) {
		t.Errorf("valid to %v, and its authority to %v", second.NotAfter, ca.Certificate.Leaf.NotAfter)
	}
	wantEntries(t, "ca-key.pem", "ca.pem", "cert.pem", "key.pem")
	one := []string{"-ca", "one.pem", "-ca-key", "one.pem"}
	generated(t, one, "one.pem", "cert.pem", "key.pem")
	generated(t, one, "cert.pem", "key.pem")
}

// The files of programs that run at once belong together.
func TestAuthorityAtOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	var wg sync.WaitGroup
	made := make([]bool, 8)
	for i := range made {
		wg.Go(func() {
			name := string(rune('a' + i))
			status, stdout, _ := runHere(slices.Concat(authority, []string{"-cert", name, "-key", name})...)
			made[i] = status == 0 && strings.HasPrefix(stdout, "wrote ca.pem\n")
			if status != 0 {
				// Before the other had written them.
				if _, err := os.Stat(name); err == nil {
					t.Error("a program that failed has written a certificate")
				}
			}
		})
	}
	wg.Wait()
	if n := len(slices.DeleteFunc(made, func(b bool) bool { return !b })); n != 1 {
		t.Errorf("%d programs made an authority", n)
	}
	generated(t, authority, "cert.pem", "key.pem")
}

// A name that another program has claimed meanwhile is not claimed again, and none is
// kept then.
func TestClaim(t *testing.T) {
	t.Chdir(t.TempDir())
	noError(t, claim([]string{"ca.pem", "ca-key.pem"}))
	for _, names := range [][]string{{"ca.pem", "other.pem"}, {"other.pem", "ca-key.pem"}} {
		if err := claim(names); !errors.Is(err, fs.ErrExist) {
			t.Errorf("claim(%q) = %v, want one that is fs.ErrExist", names, err)
		}
	}
	wantEntries(t, "ca-key.pem", "ca.pem")
}

func TestMisuse(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-x"}, "flag provided but not defined: -x"},
		{"an argument", []string{"-client", "localhost"}, `unexpected argument "localhost"`},
		{"no days", []string{"-days", "0"}, "-days must be from 1 to 100000"},
		{"days in the past", []string{"-days", "-1"}, "-days must be from 1 to 100000"},
		{"days without end", []string{"-days", "100001"}, "-days must be from 1 to 100000"},
		{"days that are none", []string{"-days", "1y"}, `invalid value "1y" for flag -days: parse error`},
		{"a port", []string{"-host", "localhost:443"}, `host "localhost:443"`},
		{"an empty host", []string{"-host", "a,,b"}, `host ""`},
		{"no host", []string{"-host", ""}, "no hosts"},
		{"a line in a host", []string{"-host", "a\nb"}, `host "a\nb"`},
		{"an authority without a key", []string{"-ca", "ca.pem"}, "-ca and -ca-key belong together"},
		{"an authority without a certificate", []string{"-ca-key", "ca.pem"}, "-ca and -ca-key belong together"},
		{"no name for the certificate", []string{"-cert", ""}, "-cert and -key must not be empty"},
		{"no name for the key", []string{"-key", ""}, "-cert and -key must not be empty"},
		{"over the authority", []string{"-ca", "cert.pem", "-ca-key", "ca.pem"}, "cert.pem is a file of the authority"},
		{"over the authority's key", []string{"-ca", "ca.pem", "-ca-key", "FOLDER/key.pem"}, "key.pem is a file of the authority"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			t.Chdir(folder)
			for i, arg := range tt.args {
				tt.args[i] = strings.Replace(arg, "FOLDER", folder, 1)
			}
			status, stdout, stderr := runHere(tt.args...)
			line, usage, _ := strings.Cut(stderr, "\n")
			if status != 2 || stdout != "" || !strings.HasPrefix(line, "certgen: ") || !strings.Contains(line, tt.want) {
				t.Errorf("certgen %q = %d, %q, %q, want 2 and %q", tt.args, status, stdout, line, tt.want)
			}
			if strings.Contains(line, "tlsutil") {
				t.Errorf("it names a package: %q", line)
			}
			if !strings.HasPrefix(usage, "usage: certgen [flags]\n  -ca file\n") {
				t.Errorf("behind that it said %q", usage)
			}
			wantEntries(t)
		})
	}
}

func TestHelp(t *testing.T) {
	status, stdout, stderr := runHere("-h")
	if status != 0 || stdout != "" || !strings.HasPrefix(stderr, "usage: certgen [flags]\n  -ca file\n") {
		t.Errorf("certgen -h = %d, %q, %q", status, stdout, stderr)
	}
}

var authority = []string{"-ca", "ca.pem", "-ca-key", "ca-key.pem"}

var failures = []struct {
	name   string
	args   []string
	before func(t *testing.T) // in the folder
	want   string             // on the standard error
	left   []string           // in the folder
}{
	{
		"no folder",
		[]string{"-cert", "none/cert.pem"},
		nil,
		"none", nil,
	},
	{
		"no folder for the authority",
		[]string{"-ca", "ca.pem", "-ca-key", "none/ca-key.pem"},
		nil,
		"none/ca-key.pem", nil,
	},
	{
		"a line in a name",
		[]string{"-cert", "a\nb/c"},
		nil,
		"a\ufffdb", nil,
	},
	{
		"a certificate without a key", authority,
		func(t *testing.T) { writeAuthority(t, "ca.pem", "none.pem"); noError(t, os.Remove("none.pem")) },
		"ca.pem is there, and its key ca-key.pem is not",
		[]string{"ca.pem"},
	},
	{
		"a key without a certificate", authority,
		func(t *testing.T) { writeAuthority(t, "none.pem", "ca-key.pem"); noError(t, os.Remove("none.pem")) },
		"the key ca-key.pem is there, and its certificate ca.pem is not",
		[]string{"ca-key.pem"},
	},
	{
		"another's key", authority,
		func(t *testing.T) {
			writeAuthority(t, "none.pem", "ca-key.pem")
			writeAuthority(t, "ca.pem", "none.pem")
		},
		"ca-key.pem: not the key of the first certificate in ca.pem",
		[]string{"ca-key.pem", "ca.pem", "none.pem"},
	},
	{
		"an authority that is none", authority,
		func(t *testing.T) {
			generated(t, []string{"-cert", "ca.pem", "-key", "ca-key.pem"}, "ca.pem", "ca-key.pem")
		},
		"not one of an authority",
		[]string{"ca-key.pem", "ca.pem"},
	},
	{
		"an authority for others", authority,
		func(t *testing.T) { writeAuthority(t, "ca.pem", "ca-key.pem", "example.com") },
		"localhost",
		[]string{"ca-key.pem", "ca.pem"},
	},
}

func TestFailures(t *testing.T) {
	for _, tt := range failures {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if tt.before != nil {
				tt.before(t)
			}
			status, stdout, stderr := runHere(tt.args...)
			if status != 1 || stdout != "" || !strings.HasPrefix(stderr, "certgen: ") || !strings.Contains(stderr, tt.want) {
				t.Errorf("certgen %q = %d, %q, %q, want 1 and %q", tt.args, status, stdout, stderr, tt.want)
			}
			if strings.Count(stderr, "\n") != 1 {
				t.Errorf("it said more than a line: %q", stderr)
			}
			wantEntries(t, tt.left...)
		})
	}
}

// The files of an authority are not overwritten either when -ca and -ca-key are links to them.
func TestLinkToAuthority(t *testing.T) {
	t.Chdir(t.TempDir())
	writeAuthority(t, "root.pem", "root-key.pem")
	if err := errors.Join(os.Symlink("root.pem", "ca.pem"), os.Symlink("root-key.pem", "ca-key.pem")); err != nil {
		if runtime.GOOS == "windows" {
			t.Skip("links need a privilege: ", err)
		}
		t.Fatal(err)
	}
	for _, flags := range [][]string{{"-cert", "root.pem"}, {"-key", "root-key.pem"}, {"-cert", "root-key.pem"}} {
		status, _, stderr := runHere(slices.Concat(authority, flags)...)
		if status != 2 || !strings.Contains(stderr, "not overwritten") {
			t.Errorf("certgen with %q = %d, %q", flags, status, stderr)
		}
	}
	// A link that is called as the certificate is replaced, and what it leads to stays.
	noError(t, os.Symlink("root.pem", "cert.pem"))
	generated(t, authority, "cert.pem", "key.pem")
	_, err := tlsutil.LoadCA("root.pem", "root-key.pem")
	noError(t, err)
}

// writeAuthority writes one that is for some names, or all.
func writeAuthority(t *testing.T, certFile, keyFile string, names ...string) {
	t.Helper()
	ca, err := tlsutil.NewCA(tlsutil.Authority{PermittedDNS: names})
	noError(t, err)
	noError(t, tlsutil.WriteFiles(ca.Certificate, certFile, keyFile))
}

// A full fails as an output that is closed.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }

func TestOutputThatFails(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{nil, authority} {
		var stderr bytes.Buffer
		if status := run(args, full{}, &stderr); status != 1 || stderr.String() != "certgen: no room\n" {
			t.Errorf("run = %d, %q", status, &stderr)
		}
	}
	// The authority is whole.
	_, err := tlsutil.LoadCA("ca.pem", "ca-key.pem")
	noError(t, err)
}

func TestInteropOpenSSL(t *testing.T) {
	openssl := interop.Command(t, "openssl", "openssl")
	t.Chdir(t.TempDir())
	want := func(want string, args ...string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("openssl %q: %v\n%s\nwant %q", args, err, out, want)
		}
	}
	generated(t, []string{"-host", "localhost,::1"}, "cert.pem", "key.pem")
	want("cert.pem: OK", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", "::1", "-CAfile", "cert.pem", "cert.pem")
	want("Key is valid", "pkey", "-in", "key.pem", "-check", "-noout")
	generated(t, authority, "ca.pem", "ca-key.pem", "cert.pem", "key.pem")
	want("ca.pem: OK", "verify", "-x509_strict", "-CAfile", "ca.pem", "ca.pem")
	want("cert.pem: OK", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca.pem", "cert.pem")
	want("DNS:localhost", "x509", "-in", "cert.pem", "-noout", "-ext", "subjectAltName")
}
