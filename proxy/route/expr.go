package route

// form is what an expression is.
type form uint8

const (
	always form = iota
	never
	literal
	conjunction
	disjunction
)

// expr is a rule or a piece of one, with negations pushed down to the atoms. It is immutable.
type expr struct {
	form form
	not  bool  // of a literal
	atom *atom // of a literal
	kids []expr
}

// match evaluates the expression, left to right, as far as needed.
func (e *expr) match(v *view) bool {
	switch e.form {
	case always:
		return true
	case literal:
		return e.atom.match(v) != e.not
	case conjunction:
		for i := range e.kids {
			if !e.kids[i].match(v) {
				return false
			}
		}
		return true
	case disjunction:
		for i := range e.kids {
			if e.kids[i].match(v) {
				return true
			}
		}
	}
	return false
}

// join makes a conjunction or disjunction of kids and simplifies it.
func join(f form, kids []expr) expr {
	neutral, absorbing := always, never
	if f == disjunction {
		neutral, absorbing = never, always
	}
	out := expr{form: f, kids: make([]expr, 0, len(kids))}
	for _, kid := range kids {
		switch kid.form {
		case neutral:
		case absorbing:
			return expr{form: absorbing}
		case f:
			out.kids = append(out.kids, kid.kids...)
		default:
			out.kids = append(out.kids, kid)
		}
	}
	switch len(out.kids) {
	case 0:
		return expr{form: neutral}
	case 1:
		return out.kids[0]
	}
	return out
}

// assume is what remains of the expression when given is known to be true. It shares with e whatever
// that does not touch; the second result is false when that is everything.
func (e *expr) assume(given key) (rest expr, changed bool) {
	switch e.form {
	case literal:
		value, known := e.atom.decide(given)
		switch {
		case !known:
			return *e, false
		case value != e.not:
			return expr{form: always}, true
		}
		return expr{form: never}, true
	case conjunction, disjunction:
		var kids []expr
		for i := range e.kids {
			kid, changed := e.kids[i].assume(given)
			if e.form == disjunction && kid.form == always || e.form == conjunction && kid.form == never {
				return kid, true
			}
			if changed && kids == nil {
				kids = append(make([]expr, 0, len(e.kids)), e.kids[:i]...)
			}
			if kids != nil {
				kids = append(kids, kid)
			}
		}
		if kids != nil {
			return join(e.form, kids), true
		}
	}
	return *e, false
}

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

// cover returns keys of a dimension such that the expression is false unless one of them is true;
// false when there are none such.
func (e *expr) cover(d dimension) (keys []key, ok bool) {
	switch e.form {
	case never:
		return nil, true
	case literal:
		if e.not {
			return nil, false
		}
		for _, k := range []key{e.atom.key, e.atom.hint} {
			if k.dimension() == d {
				return []key{k}, true
			}
		}
	case conjunction:
		for i := range e.kids {
			if k, found := e.kids[i].cover(d); found && (!ok || narrower(k, keys)) {
				keys, ok = k, true
			}
		}
		return keys, ok
	case disjunction:
		seen := map[key]bool{}
		for i := range e.kids {
			k, found := e.kids[i].cover(d)
			if !found {
				return nil, false
			}
			for _, k := range k {
				if !seen[k] {
					seen[k] = true
					keys = append(keys, k)
				}
			}
		}
		return keys, true
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

// place is where an index keeps a rule, or a part of it: the key it asks for in each dimension, zero
// for any, and what remains to be checked where these are true; nil for nothing.
type place struct {
	keys [dimensions]key
	rest *expr
}

// maxPlaces bounds how often an index keeps one rule. What would take more is indexed by less.
const maxPlaces = 2048

// places divides a rule over an index.
func (e *expr) places() []place {
	out := []place{{rest: e}}
	for d := range dimensions {
		out = divide(out, d)
	}
	for i := range out {
		if out[i].rest.form == always {
			out[i].rest = nil
		}
	}
	return out
}

// divide replaces each place by those for its keys in dimension d.
func divide(places []place, d dimension) []place {
	out := make([]place, 0, len(places))
	for i, p := range places {
		keys, ok := p.rest.cover(d)
		if !ok || len(out)+len(keys)+len(places)-i > maxPlaces {
			out = append(out, p)
			continue
		}
		for _, k := range keys {
			if rest, _ := p.rest.assume(k); rest.form != never {
				at := p
				at.keys[d], at.rest = k, &rest
				out = append(out, at)
			}
		}
	}
	return out
}
