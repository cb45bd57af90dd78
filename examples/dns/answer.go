package dns

import "golang.org/x/net/dns/dnsmessage"

const (
	// ourUDP is what this server sends and takes over UDP at most, if a client says that it takes
	// more than 512 bytes: so much stays whole on nearly every path.
	ourUDP = 1232

	// badVersion is the code for a version of EDNS that is not 0 (RFC 6891, section 9).
	badVersion = dnsmessage.RCode(16)
)

// Answer returns the answer to a message in at most limit bytes, or nil if it deserves
// none: what is not even a header, and what is an answer itself, since two servers would go on
// answering each other. What is wrong with a question is told by the code of the answer.
//
// An answer that does not fit says that it is truncated, and holds no records: half of them
// might be taken for all. Over UDP limit is 512, and a client may ask for more, of which it
// gets up to 1,232.
func (r Records) Answer(query []byte, limit int) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil || header.Response {
		return nil
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{
		ID: header.ID, Response: true, OpCode: header.OpCode, RecursionDesired: header.RecursionDesired,
	}}
	var asked dnsmessage.Message
	switch err := asked.Unpack(query); {
	case header.OpCode != 0:
		m.RCode = dnsmessage.RCodeNotImplemented
	case err != nil || len(asked.Questions) != 1:
		m.RCode = dnsmessage.RCodeFormatError
	default:
		m.Questions = asked.Questions
		limit = r.reply(&m, asked.Additionals, limit)
	}
	packed, err := m.Pack()
	if err == nil && len(packed) > limit {
		m.Truncated = true
		m.Answers, m.Authorities = nil, nil
		packed, err = m.Pack()
	}
	if err != nil {
		return nil // records that cannot be packed, which is no fault of the client
	}
	return packed
}

// reply fills in the answer to the question of m, and returns how long it may be.
func (r Records) reply(m *dnsmessage.Message, additionals []dnsmessage.Resource, limit int) int {
	var options []dnsmessage.Resource
	for _, a := range additionals {
		if a.Header.Type == dnsmessage.TypeOPT {
			options = append(options, a)
		}
	}
	switch len(options) {
	case 0:
	case 1:
		// An OPT record has the size that the client takes where others have a class, and the
		// version among the bits of the time to live.
		size, version := int(options[0].Header.Class), options[0].Header.TTL>>16&0xff
		if limit == maxUDP {
			limit = max(maxUDP, min(size, ourUDP))
		}
		var header dnsmessage.ResourceHeader
		code := dnsmessage.RCodeSuccess
		if version != 0 {
			code = badVersion
		}
		if err := header.SetEDNS0(ourUDP, code, false); err != nil {
			m.RCode = dnsmessage.RCodeServerFailure
			return limit
		}
		m.Additionals = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.OPTResource{}}}
		if version != 0 {
			return limit
		}
	default:
		m.RCode = dnsmessage.RCodeFormatError
		return limit
	}
	q := m.Questions[0]
	switch {
	case q.Class != dnsmessage.ClassINET || q.Type == dnsmessage.TypeAXFR:
		m.RCode = dnsmessage.RCodeRefused
	case q.Type == dnsmessage.TypeALL || q.Type == dnsmessage.TypeOPT:
		m.RCode = dnsmessage.RCodeNotImplemented
	default:
		m.Answers, m.Authorities, m.RCode = r.lookup(q)
		m.Authoritative = m.RCode == dnsmessage.RCodeSuccess || m.RCode == dnsmessage.RCodeNameError
	}
	return limit
}
