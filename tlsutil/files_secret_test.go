package tlsutil_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/tlsutil"
)

// A brokenSet is one that cannot be used, whose files may hold anything.
type brokenSet struct {
	name string
	generation
}

// brokenSets returns sets that are broken in many ways, each by a mistake with a key.
func brokenSets(t *testing.T) []brokenSet {
	t.Helper()
	g, other := newGeneration(t, "good"), newGeneration(t, "other")
	block, _ := pem.Decode(g.key)
	der := block.Bytes
	text := base64.StdEncoding.EncodeToString(der)
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	noError(t, err)
	withHeader := func(typ string) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: typ, Headers: map[string]string{"Comment": text}, Bytes: der})
	}
	cert, key, roots := g.cert, g.key, g.roots
	var sets []brokenSet
	add := func(name string, cert, key, roots []byte) {
		sets = append(sets, brokenSet{name, generation{cert: cert, key: key, roots: roots}})
	}
	for i := 1; i < len(key)-1; i += 40 {
		add(fmt.Sprintf("key of %d bytes", i), cert, key[:i], roots)
		add(fmt.Sprintf("key without %d bytes", i), cert, key[i:], roots)
	}
	for i := range 8 {
		damaged := slices.Clone(der)
		damaged[i*len(der)/16] ^= 0x15
		add(fmt.Sprintf("damaged key %d", i), cert, pemBlock("PRIVATE KEY", damaged), roots)
	}
	add("base 64 alone", cert, []byte(text), roots)
	add("DER alone", cert, der, roots)
	add("garbage", cert, []byte(rand.Text()+rand.Text()), roots)
	add("garbage in a block", cert, pemBlock("PRIVATE KEY", []byte(rand.Text())), roots)
	add("another key", cert, other.key, roots)
	add("key for key exchange", cert, pemKey(t, exchange), roots)
	add("switched", key, cert, roots)
	add("key twice", key, key, roots)
	add("certificate twice", cert, cert, roots)
	add("type is the key", cert, pemBlock(text, der), roots)
	add("type ends like one of a key", cert, pemBlock(text+" PRIVATE KEY", der[1:]), roots)
	add("header", cert, withHeader("OTHER"), roots)
	add("header of a certificate", withHeader("CERTIFICATE"), key, roots)
	add("key as a certificate", pemBlock("CERTIFICATE", der), key, roots)
	add("type of a certificate is the key", pemBlock(text, der), key, roots)
	add("certificate as a key", cert, pemBlock("PRIVATE KEY", must1(pemBytes(cert))), roots)
	add("encrypted", cert, pemBlock("ENCRYPTED PRIVATE KEY", der), roots)
	add("roots are the key", cert, key, key)
	add("roots hold the key", cert, key, slices.Concat(roots, key))
	add("roots hold the key as a certificate", cert, key, pemBlock("CERTIFICATE", der))
	add("type in the roots is the key", cert, key, pemBlock(text, der))
	add("header in the roots", cert, key, withHeader("CERTIFICATE"))
	add("roots are the half key", cert, key, slices.Concat(roots, key[:len(key)/2]))
	return sets
}

func pemBytes(data []byte) ([]byte, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no block")
	}
	return block.Bytes, nil
}

// Nothing that a file holds is told: not by WatchFiles, not by Reload, and not to OnReload
// or the log.
func TestNothingSecretIsTold(t *testing.T) {
	for i, set := range brokenSets(t) {
		t.Run(set.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set := brokenSets(t)[i] // of the bubble's time
				var told bytes.Buffer
				tell := func(from string, err error) {
					if err == nil {
						t.Fatalf("%s: no error", from)
					}
					for ; err != nil; err = errors.Unwrap(err) {
						fmt.Fprintf(&told, "%s: %v %+v %#v\n", from, err, err, err)
					}
				}
				w, err := tlsutil.WatchFiles(set.inFolder(t))
				if err == nil {
					w.Close()
				}
				tell("WatchFiles", err)

				f := newGeneration(t, "before").inFolder(t)
				f.OnReload = func(err error) { tell("OnReload", err) }
				f.Logger = slog.New(slog.NewJSONHandler(&told, nil))
				w = watchFiles(t, f)
				set.writeInto(t, f)
				later(time.Minute)
				tell("Reload", w.Reload())
				for _, from := range []string{"OnReload: ", `"level":"ERROR"`} {
					if !strings.Contains(told.String(), from) {
						t.Errorf("nothing was told to %s", from)
					}
				}
				for _, data := range [][]byte{set.cert, set.key, set.roots} {
					wantNothingOf(t, told.String(), data)
				}
			})
		})
	}
}

// The functions that read files once tell as little.
func TestNothingSecretIsToldOfOneReading(t *testing.T) {
	for _, set := range brokenSets(t) {
		f := set.inFolder(t)
		var told strings.Builder
		for _, name := range []string{f.Roots, f.Key} {
			_, err := tlsutil.LoadPool(name)
			fmt.Fprintf(&told, "LoadPool: %v %#v\n", err, err)
		}
		_, err := tlsutil.LoadCA(f.Cert, f.Key)
		wantError(t, err, "tlsutil: ") // none of these is an authority
		fmt.Fprintf(&told, "LoadCA: %v %#v\n", err, err)
		for _, data := range [][]byte{set.cert, set.key, set.roots} {
			wantNothingOf(t, told.String(), data)
		}
	}
}

// wantNothingOf checks that 8 bytes in a row of data, or of what the PEM in it holds, are
// not told, as they are, quoted or in hexadecimal.
func wantNothingOf(t *testing.T, told string, data []byte) {
	t.Helper()
	contents := [][]byte{data}
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		contents, data = append(contents, block.Bytes), rest
	}
	for _, content := range contents {
		for i := 0; i+8 <= len(content); i++ {
			window := content[i : i+8]
			quoted := fmt.Sprintf("%q", window)
			for _, form := range []string{string(window), quoted[1 : len(quoted)-1], hex.EncodeToString(window)} {
				if strings.Contains(told, form) {
					t.Fatalf("%q was told: %s", form, told)
				}
			}
		}
	}
}
