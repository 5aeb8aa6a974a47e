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
