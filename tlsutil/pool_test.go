package tlsutil_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// inPEM returns certificates in PEM.
func inPEM(ders ...[]byte) string {
	var b bytes.Buffer
	for _, der := range ders {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return b.String()
}

// writeText writes a file of the test, and returns its name.
func writeText(tb testing.TB, text string) string {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "file.pem")
	noError(tb, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func TestLoadPool(t *testing.T) {
	one, two := makeCA(t, tlsutil.Authority{}), makeCA(t, tlsutil.Authority{Key: tlsutil.Ed25519})
	first, second := inPEM(one.Certificate.Certificate[0]), inPEM(two.Certificate.Certificate[0])
	tests := []struct {
		name, text string
	}{
		{"both", first + second},
		{"with text", "# Roots\n\n" + first + "Certificate:\n    Data:\n        Version: 3 (0x2)\n" + second + "\n=====\n"},
		{"as openssl s_client shows it", "---\nCertificate chain\n 0 s:CN = a\n" + first + " 1 s:CN = b\n" + second + "---\n"},
		{"with Windows's ends of lines", strings.ReplaceAll(first+"\n"+second, "\n", "\r\n")},
		{"without the last end of line", strings.TrimSuffix(first+second, "\n")},
		{"twice", first + second + first},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pool, err := tlsutil.LoadPool(writeText(t, tt.text))
			noError(t, err)
			want := one.Pool()
			want.AddCert(two.Certificate.Leaf)
			if !pool.Equal(want) {
				t.Error("the pool does not hold the two alone")
			}
		})
	}
}

func TestLoadPoolThatIsDamaged(t *testing.T) {
	ca := makeCA(t, tlsutil.Authority{})
	good := inPEM(ca.Certificate.Certificate[0])
	begin, end := "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"
	_, keyPEM := encoded(t, ca.Certificate)
	headers := string(pem.EncodeToMemory(&pem.Block{
		Type: "CERTIFICATE", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: ca.Certificate.Certificate[0],
	}))
	tests := []struct{ name, text, want string }{
		{"nothing", "", "no certificate in PEM"},
		{"text", "These are no certificates.\n", "no certificate in PEM"},
		{"DER", string(ca.Certificate.Certificate[0]), ""},
		{"a key", keyPEM, "block 1 is a private key"},
		{"a key behind", good + keyPEM, "block 2 is a private key"},
		{"a trusted certificate", strings.ReplaceAll(good, "CERTIFICATE", "TRUSTED CERTIFICATE"), "block 1 is not a certificate"},
		{"headers", headers, "certificate 1 has headers"},
		{"not base 64", good + begin + "!" + good[len(begin):], "certificate 2 is damaged"},
		{"not base 64, before", begin + "!" + good[len(begin):] + good, "certificate 1 is damaged"},
		{"not a certificate", good + begin + "AAAA\n" + end, "certificate 2 is damaged"},
		{"an empty one", good + begin + end, "certificate 2 is damaged"},
		{"bytes behind", inPEM(append(bytes.Clone(ca.Certificate.Certificate[0]), 0)), "certificate 1 is damaged"},
		{"no begin", strings.TrimPrefix(good, begin), "certificate 1 is damaged"},
		{"no begin, and one behind", strings.TrimPrefix(good, begin) + good, "certificate 1 is damaged"},
		{"no end, and one behind", strings.TrimSuffix(good, end) + good, "certificate 1 is damaged"},
		{"a dash less", good + good[1:], "certificate 2 is damaged"},
		{"a dash less, before", good[1:] + good, "certificate 1 is damaged"},
		{"a dash less in the end", good + strings.TrimSuffix(good, "-\n") + "\n", "certificate 2 is damaged"},
		{"on one line", strings.TrimSuffix(good, "\n") + good, "certificate 1 is damaged"},
		{"an indented one", good + " " + good, "certificate 2 is damaged"},
		{"behind a byte order mark", "\ufeff" + good, "certificate 1 is damaged"},
		{"large", good + strings.Repeat("\n", 1<<20), "more than 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name := writeText(t, tt.text)
			pool, err := tlsutil.LoadPool(name)
			wantError(t, err, name, tt.want)
			if pool != nil {
				t.Error("there is a pool besides")
			}
		})
	}
}

// Wherever a file is cut off, that is noticed, but for where a certificate ends.
func TestLoadPoolThatIsCutOff(t *testing.T) {
	ca := makeCA(t, tlsutil.Authority{Key: tlsutil.Ed25519})
	good := inPEM(ca.Certificate.Certificate[0])
	name := writeText(t, "")
	for n := 1; n < len(good)-1; n++ {
		noError(t, os.WriteFile(name, []byte(good+good[:n]), 0o600))
		if _, err := tlsutil.LoadPool(name); err == nil {
			t.Errorf("cut off behind %q", good[:n])
		}
	}
}

// As much as a file may have is read.
func TestLoadPoolOfAMebibyte(t *testing.T) {
	good := inPEM(makeCA(t, tlsutil.Authority{}).Certificate.Certificate[0])
	_, err := tlsutil.LoadPool(writeText(t, good+strings.Repeat("\n", 1<<20-len(good))))
	noError(t, err)
}

func TestLoadPoolOfNoFile(t *testing.T) {
	folder := t.TempDir()
	_, err := tlsutil.LoadPool(folder)
	wantError(t, err, folder, "not a regular file")
	_, err = tlsutil.LoadPool(filepath.Join(folder, "none"))
	wantError(t, err, "none")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want one that is fs.ErrNotExist", err)
	}
}
