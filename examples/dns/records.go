package dns

import (
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// maxAliases is how many CNAME records are followed for one question.
const maxAliases = 8

// Records are what a server knows. A name with an SOA record starts a zone, for which the
// server has the last word: what is not there does not exist. For names outside of its
// zones it refuses to answer.
type Records []dnsmessage.Resource

// New returns a record of a name, which others may keep for ttl seconds. It panics if name is
// longer than 255 bytes or does not end with a dot.
func New(name string, ttl uint32, body dnsmessage.ResourceBody) dnsmessage.Resource {
	if !strings.HasSuffix(name, ".") {
		panic("dns: the name does not end with a dot: " + name)
	}
	header := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: ttl}
	header.Type = typeOf(body)
	return dnsmessage.Resource{Header: header, Body: body}
}

// typeOf returns the type of a body, which packing would put into its header.
func typeOf(body dnsmessage.ResourceBody) dnsmessage.Type {
	switch b := body.(type) {
	case *dnsmessage.AResource:
		return dnsmessage.TypeA
	case *dnsmessage.AAAAResource:
		return dnsmessage.TypeAAAA
	case *dnsmessage.CNAMEResource:
		return dnsmessage.TypeCNAME
	case *dnsmessage.MXResource:
		return dnsmessage.TypeMX
	case *dnsmessage.NSResource:
		return dnsmessage.TypeNS
	case *dnsmessage.PTRResource:
		return dnsmessage.TypePTR
	case *dnsmessage.SOAResource:
		return dnsmessage.TypeSOA
	case *dnsmessage.SRVResource:
		return dnsmessage.TypeSRV
	case *dnsmessage.TXTResource:
		return dnsmessage.TypeTXT
	case *dnsmessage.UnknownResource:
		return b.Type
	}
	panic("dns: records of this type are not served")
}

// lookup answers a question: the records of the name, after those of the aliases that
// lead to it. If there are none, authorities has the SOA record of the zone, which says for how
// long that may be kept (RFC 2308).
func (r Records) lookup(q dnsmessage.Question) (answers, authorities []dnsmessage.Resource, code dnsmessage.RCode) {
	name := q.Name.String()
	if _, ok := r.zone(name); !ok {
		return nil, nil, dnsmessage.RCodeRefused
	}
	for range maxAliases {
		found, alias, exists := r.find(name, q.Type)
		answers = append(answers, found...)
		switch soa, ok := r.zone(name); {
		case alias != "":
			name = alias
			if _, ok := r.zone(name); !ok {
				return answers, nil, code // whoever asks goes on elsewhere
			}
			continue
		case len(found) == 0 && ok:
			authorities = append(authorities, soa)
		}
		if !exists {
			code = dnsmessage.RCodeNameError
		}
		return answers, authorities, code
	}
	return nil, nil, dnsmessage.RCodeServerFailure // the aliases lead in a circle
}

// find returns the records of a name, or the one that makes it an alias of another. A name exists
// also if only a longer one has records: that of b.example. is there if a.b.example. is.
func (r Records) find(name string, kind dnsmessage.Type) (found []dnsmessage.Resource, alias string, exists bool) {
	for _, record := range r {
		owner := record.Header.Name.String()
		exists = exists || isBelow(owner, name)
		if !strings.EqualFold(owner, name) {
			continue
		}
		cname, ok := record.Body.(*dnsmessage.CNAMEResource)
		switch {
		case record.Header.Type == kind:
			found = append(found, record)
		case ok:
			return []dnsmessage.Resource{record}, cname.CNAME.String(), true
		}
	}
	return found, "", exists
}

// zone returns the SOA record of the zone that a name is in, which is the longest.
func (r Records) zone(name string) (soa dnsmessage.Resource, ok bool) {
	for _, record := range r {
		longer := len(record.Header.Name.String()) > len(soa.Header.Name.String())
		if record.Header.Type == dnsmessage.TypeSOA && isBelow(name, record.Header.Name.String()) && (longer || !ok) {
			soa, ok = record, true
		}
	}
	return soa, ok
}

// isBelow reports whether a name is the other or ends with it, label by label.
func isBelow(name, parent string) bool {
	if parent == "." {
		return true
	}
	cut := len(name) - len(parent)
	return cut >= 0 && strings.EqualFold(name[cut:], parent) && (cut == 0 || name[cut-1] == '.')
}
