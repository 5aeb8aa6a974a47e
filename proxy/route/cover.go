package route

import "slices"

// dimension is one of the questions an index asks about a request.
type dimension uint8

const (
	byHost dimension = iota
	byPath
	byField
	dimensions
)

// dimension tells which question an index can answer k with; dimensions for none.
func (k key) dimension() dimension {
	switch k.kind {
	case hostExact, hostLabel, hostDeep, hostSuffix:
		return byHost
	case pathExact, pathPrefix:
		return byPath
	case headerExact, queryExact:
		return byField
	}
	return dimensions
}

// set is a set of dimensions.
type set uint8

func setOf(list ...dimension) (s set) {
	for _, d := range list {
		s |= 1 << d
	}
	return s
}

func (s set) has(d dimension) bool { return s&(1<<d) != 0 }

// cover returns at most limit keys, all of the dimensions in s, such that the expression is false
// unless one of them is true; false when there are none such.
func (e *expr) cover(s set, limit int) (keys []key, ok bool) {
	switch e.form {
	case never:
		return nil, true
	case literal:
		if e.not || limit < 1 {
			return nil, false
		}
		for _, k := range []key{e.atom.key, e.atom.hint} {
			if s.has(k.dimension()) {
				return []key{k}, true
			}
		}
	case conjunction:
		for i := range e.kids {
			if k, found := e.kids[i].cover(s, limit); found && (!ok || narrower(k, keys)) {
				keys, ok = k, true
			}
		}
		return keys, ok
	case disjunction:
		var all keySet
		for i := range e.kids {
			k, found := e.kids[i].cover(s, limit)
			if !found {
				return nil, false
			}
			if all.add(k); len(all.keys) > limit {
				return nil, false
			}
		}
		return all.keys, true
	}
	return nil, false
}

// narrower reports whether the keys a are a better cover than b: fewer, or the longer text.
func narrower(a, b []key) bool {
	if len(a) != len(b) || len(a) == 0 {
		return len(a) < len(b)
	}
	return len(a[0].text) > len(b[0].text)
}

// keySet is keys without repetition, in order.
type keySet struct {
	keys []key
	seen map[key]bool // once there are many
}

func (s *keySet) add(keys []key) {
	const many = 16
	for _, k := range keys {
		if s.seen == nil && len(s.keys) >= many {
			s.seen = map[key]bool{}
			for _, k := range s.keys {
				s.seen[k] = true
			}
		}
		switch {
		case s.seen == nil && slices.Contains(s.keys, k), s.seen[k]:
			continue
		case s.seen != nil:
			s.seen[k] = true
		}
		s.keys = append(s.keys, k)
	}
}

// place is where an index keeps a rule, or a part of it: the key it asks for in each dimension, zero
// for any, and what remains to be checked where these are true; nil for nothing.
type place struct {
	keys [dimensions]key
	rest *expr
}

// free is the dimensions in which the place asks for nothing yet.
func (p *place) free() (s set) {
	for d := range dimensions {
		if p.keys[d].kind == noKind {
			s |= 1 << d
		}
	}
	return s
}

// maxPlaces bounds how often an index keeps one rule. What would take more is indexed by less.
const maxPlaces = 2048

// places divides a rule over an index: by each dimension that covers it all, and where its
// alternatives ask for different things by those together.
func (e *expr) places() []place {
	out := []place{{rest: e}}
	for _, s := range []set{
		setOf(byHost), setOf(byPath), setOf(byHost, byPath), setOf(byHost), setOf(byPath),
		setOf(byField), setOf(byHost, byPath, byField),
	} {
		out = divide(out, s)
	}
	for i := range out {
		if out[i].rest.form == always {
			out[i].rest = nil
		}
	}
	return out
}

// divide replaces each place by those for its keys in the dimensions of s that are free.
func divide(places []place, s set) []place {
	out := make([]place, 0, len(places))
	for i, p := range places {
		keys, ok := p.rest.cover(s&p.free(), maxPlaces-len(out)-(len(places)-1-i))
		if !ok {
			out = append(out, p)
			continue
		}
		for _, k := range keys {
			if rest, _ := p.rest.assume(k); rest.form != never {
				at := p
				at.keys[k.dimension()], at.rest = k, &rest
				out = append(out, at)
			}
		}
	}
	return out
}
