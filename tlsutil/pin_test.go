package tlsutil_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// pinText is the pin of 32 bytes that are the numbers from 0 to 31.
const pinText = "sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

func countingPin() (p tlsutil.Pin) {
	for i := range p {
		p[i] = byte(i)
	}
	return p
}

func TestPinOf(t *testing.T) {
	ca := makeCA(t, tlsutil.Authority{})
	cert := makeLeaf(t, ca, localhost).Leaf
	der, err := x509.MarshalPKIXPublicKey(cert.PublicKey)
	noError(t, err)
	if got, want := tlsutil.PinOf(cert), tlsutil.Pin(sha256.Sum256(der)); got != want {
		t.Errorf("PinOf = %v, want %v", got, want)
	}
	if tlsutil.PinOf(cert) == tlsutil.PinOf(makeLeaf(t, ca, localhost).Leaf) {
		t.Error("two keys have one pin")
	}
	// A certificate that is renewed with its key keeps its pin.
	renewed := handMadeFor(t, &ca.Certificate, cert.PublicKey, forHost("localhost"))
	if bytes.Equal(renewed.Raw, cert.Raw) || tlsutil.PinOf(renewed) != tlsutil.PinOf(cert) {
		t.Error("one key has two pins")
	}
}

func TestPinText(t *testing.T) {
	pin := countingPin()
	if got := pin.String(); got != pinText {
		t.Errorf("String() = %q, want %q", got, pinText)
	}
	base64 := strings.TrimPrefix(pinText, "sha256:")
	for _, s := range []string{pinText, "sha256/" + base64, "sha256//" + base64} {
		if got, err := tlsutil.ParsePin(s); got != pin || err != nil {
			t.Errorf("ParsePin(%q) = %v, %v, want %v", s, got, err, pin)
		}
	}
	// A hash that begins with a slash, in the form with one slash.
	slash := tlsutil.Pin{0: 0xff, 31: 1}
	for _, separator := range []string{":", "/", "//"} {
		s := "sha256" + separator + "/wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
		if got, err := tlsutil.ParsePin(s); got != slash || err != nil {
			t.Errorf("ParsePin(%q) = %v, %v, want %v", s, got, err, slash)
		}
	}
}

func TestPinsThatAreNone(t *testing.T) {
	base64 := strings.TrimPrefix(pinText, "sha256:")
	for name, s := range map[string]string{
		"nothing":                    "",
		"no hash":                    "sha256:",
		"the hash alone":             base64,
		"another hash":               "sha512:" + base64,
		"upper case":                 "SHA256:" + base64,
		"no separator":               "sha256" + base64,
		"three slashes":              "sha256///" + base64,
		"another separator":          "sha256=" + base64,
		"a space before":             " " + pinText,
		"a space behind":             pinText + " ",
		"an end of line":             pinText + "\n",
		"an end of line within":      pinText[:20] + "\n" + pinText[20:],
		"one in place of a byte":     pinText[:20] + "\n" + pinText[21:],
		"no padding":                 strings.TrimSuffix(pinText, "="),
		"a byte less":                "sha256:" + base64[:40] + "HQ==",
		"a byte more":                "sha256:" + base64[:40] + "HR4fIA==",
		"bits behind the last byte":  "sha256:" + base64[:42] + "9=",
		"base 64 for URLs":           "sha256:_" + base64[1:],
		"hexadecimal":                "sha256:" + strings.Repeat("00", 32),
		"hexadecimal in colons":      strings.Repeat("00:", 31) + "00",
		"an alphabet beyond base 64": "sha256:*" + base64[1:],
	} {
		t.Run(name, func(t *testing.T) {
			pin, err := tlsutil.ParsePin(s)
			wantError(t, err, "pin")
			if pin != (tlsutil.Pin{}) {
				t.Errorf("ParsePin(%q) = %v", s, pin)
			}
		})
	}
	if _, err := tlsutil.ParsePin(strings.Repeat("x", 1<<20)); len(err.Error()) > 200 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

// Pins stand in configurations.
func TestPinInJSON(t *testing.T) {
	var config struct{ Pins []tlsutil.Pin }
	const text = `{"Pins":["` + pinText + `"]}`
	noError(t, json.Unmarshal([]byte(text), &config))
	if len(config.Pins) != 1 || config.Pins[0] != countingPin() {
		t.Errorf("pins %v", config.Pins)
	}
	if got, err := json.Marshal(config); string(got) != text || err != nil {
		t.Errorf("Marshal = %s, %v, want %s", got, err, text)
	}
	pin := countingPin()
	wantError(t, pin.UnmarshalText([]byte("sha256:")), "pin")
	if pin != countingPin() {
		t.Error("a text that is no pin has changed the pin")
	}
}

// What is a pin is one in one form of the hash only, and is the same after String.
func FuzzParsePin(f *testing.F) {
	base64 := strings.TrimPrefix(pinText, "sha256:")
	f.Add(pinText)
	f.Add("sha256/" + base64)
	f.Add("sha256//" + base64) // of curl
	f.Add("sha256://" + base64[2:])
	f.Add(pinText[:20] + "\r\n" + pinText[22:]) // what base64 passes over
	f.Add(pinText[:len(pinText)-2] + "9=")      // bits behind the last byte
	f.Fuzz(func(t *testing.T, s string) {
		pin, err := tlsutil.ParsePin(s)
		if err != nil {
			return
		}
		again, err := tlsutil.ParsePin(pin.String())
		if again != pin || err != nil {
			t.Errorf("ParsePin(%q) = %v, %v, want %v", pin.String(), again, err, pin)
		}
		hash := strings.TrimPrefix(pin.String(), "sha256:")
		if s != "sha256:"+hash && s != "sha256/"+hash && s != "sha256//"+hash {
			t.Errorf("ParsePin(%q) = %v", s, pin)
		}
	})
}
