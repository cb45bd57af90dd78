package tlsutil

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"slices"
)

// tickets are the session tickets of a server. Each carries a bond: a hash of
// everything that decided about its session. A ticket with another bond is taken for
// one that cannot be decrypted, so that its client goes through a full handshake.
type tickets struct {
	// keys is used for its keys alone, which crypto/tls makes and changes once a day.
	// They are common to the configurations that a server goes through.
	keys tls.Config
}

// bind lets config make and take tickets whose bond is that of the server name.
func (t *tickets) bind(config *tls.Config, bond func(serverName string) [32]byte) {
	config.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		b := bond(cs.ServerName)
		ss.Extra = append(ss.Extra, b[:])
		return t.keys.EncryptTicket(cs, ss)
	}
	config.UnwrapSession = func(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		ss, err := t.keys.DecryptTicket(identity, cs)
		if err != nil || ss == nil {
			return nil, nil // an error would end the connection
		}
		b := bond(cs.ServerName)
		if !slices.ContainsFunc(ss.Extra, func(extra []byte) bool { return bytes.Equal(extra, b[:]) }) {
			return nil, nil
		}
		return ss, nil
	}
}

// bond hashes the parts, each with its length, so that no two lists of parts have
// the same bytes.
func bond(parts ...string) [32]byte {
	b := []byte("netparts tlsutil ticket\x00")
	for _, part := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	return sha256.Sum256(b)
}
