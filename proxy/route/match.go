package route

import "github.com/pergola-mesh/pergola/proxy/exchange"

// Match returns the entry that a linear scan in order of priority would find first; nil when none
// matches. It neither changes x nor allocates. Do not change the entry.
func (t *Table) Match(x *exchange.Exchange) *Entry {
	var s search
	s.look(x)
	s.all(t)
	s.close()
	if s.found == nil {
		return nil
	}
	return &s.found.Entry
}

// all looks in the whole of a table.
func (s *search) all(t *Table) {
	if len(s.host) > 0 {
		if t.index.exact != nil {
			s.paths(t.index.exact.get(s.host))
		}
		if ends := t.index.endings; ends != nil && s.worth(ends.top) {
			s.hosts(ends, s.host)
		}
	}
	s.paths(t.index.anyHost)
}

// search goes through an index from the most to the least specific, and passes over whatever cannot
// come before the best found so far.
type search struct {
	view
	found *item
}

// worth reports whether i would come before what was found.
func (s *search) worth(i *item) bool {
	return i != nil && (s.found == nil || i.before(s.found))
}

// hosts looks in t and below; rest is what is left of the host, whose end has been consumed.
func (s *search) hosts(t *tree[hosts], rest []byte) {
	if n := len(rest); n > 0 {
		kid := t.child(rest[n-1])
		if kid != nil && s.worth(kid.top) && endsWith(rest, kid.label) {
			s.hosts(kid, rest[:n-len(kid.label)])
		}
		if t.value.deep != nil {
			s.paths(t.value.deep)
		}
	}
	if t.value.label != nil && !hasDot(rest) {
		s.paths(t.value.label)
	}
	if t.value.suffix != nil {
		s.paths(t.value.suffix)
	}
}

// endsWith reports whether rest, whose last byte is known to agree, ends with label read backwards.
func endsWith(rest []byte, label string) bool {
	n := len(rest)
	if n < len(label) {
		return false
	}
	for i := 1; i < len(label); i++ {
		if rest[n-1-i] != label[i] {
			return false
		}
	}
	return true
}

func hasDot(b []byte) bool {
	for _, c := range b {
		if c == '.' {
			return true
		}
	}
	return false
}

// paths looks in all of a tree of paths.
func (s *search) paths(t *tree[paths]) {
	if t != nil && s.worth(t.top) {
		s.below(t, s.path)
	}
}

// below looks in t and below; rest is what is left of the path.
func (s *search) below(t *tree[paths], rest []byte) {
	if len(rest) == 0 {
		s.bucket(t.value.exact)
	} else if kid := t.child(rest[0]); kid != nil && s.worth(kid.top) && beginsWith(rest, kid.label) {
		s.below(kid, rest[len(kid.label):])
	}
	s.bucket(t.value.prefix)
}

// beginsWith reports whether rest, whose first byte is known to agree, begins with label. Not reading
// a label of one byte spares a cache miss.
func beginsWith(rest []byte, label string) bool {
	return len(label) == 1 || len(rest) >= len(label) && string(rest[:len(label)]) == label
}

func (s *search) bucket(b *bucket) {
	if b == nil || !s.worth(b.top) {
		return
	}
	for i := range b.fields {
		s.field(&b.fields[i])
	}
	s.list(b.plain)
}

func (s *search) field(f *field) {
	if !s.worth(f.values.top) {
		return
	}
	each := func(value []byte) bool {
		if l := get(f.values, value); l != nil {
			s.list(l.candidates)
		}
		return false
	}
	if f.kind == headerExact {
		s.header(f.header, each)
	} else {
		s.query(f.name, each)
	}
}

// list takes the first candidate that matches, unless a better one is known.
func (s *search) list(l candidates) {
	for i := range l {
		if c := &l[i]; !s.worth(c.item) {
			return
		} else if c.rest == nil || c.rest.match(&s.view) {
			s.found = c.item
			return
		}
	}
}
