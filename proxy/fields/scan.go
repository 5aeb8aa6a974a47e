package fields

import "github.com/pergola-mesh/pergola/proxy/exchange"

// scan is what a walk over a section finds.
type scan struct {
	pseudo [pseudoStatus + 1][]byte // nil: not there
	host   []byte
	length int64 // -1: no Content-Length
	expect bool
	unmet  bool // something else is expected than we know
}

// walk puts the regular fields of the section into h and the others into s. want are the pseudo-header
// fields that the message may have, a bit for each. RFC 9113 §8.2, §8.3.
func (b *Block) walk(h *exchange.Header, s *scan, want uint16) *Rule {
	if b.over != nil {
		return b.over
	}
	s.length = -1
	if b.crumbs > 1 {
		b.joinCookies()
	}
	h.Reset(b.text)
	behind := false
	for i := range b.fields {
		f := &b.fields[i]
		if rule := f.check(); rule != nil {
			return rule
		}
		if f.kind.pseudo != regular {
			if rule := b.takePseudo(s, f, want, behind); rule != nil {
				return rule
			}
			continue
		}
		behind = true
		if f.trait&underscored != 0 && b.lim.Underscore != AllowUnderscore {
			if b.lim.Underscore == RejectUnderscore {
				return RuleUnderscore
			}
			continue
		}
		if !HopByHop.Has(f.kind.id) {
			b.keep(h, f)
		} else if rule := b.take(h, s, f); rule != nil {
			return rule
		}
	}
	return nil
}

func (b *Block) takePseudo(s *scan, f *field, want uint16, behind bool) *Rule {
	switch p := f.kind.pseudo; {
	case want&(1<<p) == 0:
		return RulePseudoUnknown
	case behind:
		return RulePseudoOrder
	case s.pseudo[p] != nil:
		return RulePseudoRepeated
	default:
		from := f.start + f.name + 2
		s.pseudo[p] = b.text[from : from+f.value : from+f.value] // no white space is forgiven here
		return nil
	}
}

// take looks at a field that is about the connection or the framing.
func (b *Block) take(h *exchange.Header, s *scan, f *field) *Rule {
	if connectionFields.Has(f.kind.id) {
		return RuleConnectionField
	}
	v := b.valueOf(f)
	switch f.kind.id {
	case hostID:
		if s.host != nil {
			return RuleHostMany
		}
		s.host = v
	case lengthID:
		n, ok := ParseLength(v)
		if !ok {
			return RuleLength
		}
		if s.length >= 0 && s.length != n {
			return RuleLengthMany
		}
		s.length = n
	case teID:
		if !exchange.EqualFold(v, "trailers") {
			return RuleTE
		}
		b.keep(h, f) // end to end it says that the client takes trailers: gRPC wants it
	case expectID:
		if exchange.EqualFold(v, "100-continue") {
			s.expect = true
		} else {
			s.unmet = true
		}
	}
	return nil
}

// joinCookies makes one Cookie field of several. RFC 9113 §8.2.3.
func (b *Block) joinCookies() {
	joined := field{start: len(b.text), name: len("cookie"), kind: Kind{id: cookieID}}
	b.text = append(b.text, "cookie: "...)
	from := len(b.text)
	kept := b.fields[:0]
	for i := range b.fields {
		f := b.fields[i]
		if f.kind.id != cookieID {
			kept = append(kept, f)
			continue
		}
		if len(b.text) > from {
			b.text = append(b.text, ';', ' ')
		}
		b.text = append(b.text, b.valueOf(&f)...)
		joined.trait |= f.trait
	}
	joined.value = len(b.text) - from
	b.text = append(b.text, '\r', '\n')
	b.fields = append(kept, joined)
	b.crumbs = 1
}
