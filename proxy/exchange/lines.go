package exchange

import "slices"

// NameSet is a set of well-known names, to remove them all at the price of one look.
type NameSet uint64

// NewNameSet returns the set of names, which must be well-known.
func NewNameSet(names ...Name) (s NameSet) {
	for _, n := range names {
		if n.id == otherID {
			panic("exchange: " + n.text + " is not a well-known name")
		}
		s |= 1 << n.id
	}
	return s
}

// Has reports whether the name with this number is in s.
func (s NameSet) Has(id ID) bool { return s&(1<<id) != 0 }

// DelSet removes every field whose name is in s.
func (h *Header) DelSet(s NameSet) {
	if h.seen&uint64(s) == 0 {
		return
	}
	for i := range h.fields {
		if f := &h.fields[i]; !f.dead && uint64(s)&(1<<f.id) != 0 {
			f.dead = true
			h.live--
		}
	}
	h.seen &^= uint64(s)
}

// Lines are fields made ready to be added together. They do not change. What a blank says is told when they are.
type Lines struct {
	pieces []string // the text before each blank, and what is behind the last
	size   int      // of all pieces
	lines  []line
	seen   uint64
}

// line is a field in the text without what goes into the blanks.
type line struct {
	field
	blank bool
}

// NewLines makes lines of fields.
func NewLines(fields ...Field) *Lines {
	var h Header
	l, done := &Lines{}, 0
	for i, f := range fields {
		if f.Blank {
			f.Value = ""
		}
		h.Add(f.Name, f.Value)
		l.lines = append(l.lines, line{h.fields[i], f.Blank})
		if at := int(h.fields[i].value); f.Blank {
			l.pieces = append(l.pieces, string(h.own[done:at]))
			done = at
		}
	}
	l.pieces = append(l.pieces, string(h.own[done:]))
	l.size, l.seen = len(h.own), h.seen
	return l
}

// Field is a name with a value, or with none yet.
type Field struct {
	Name  Name
	Value string
	Blank bool
}

// AddLines appends all fields of l, with a value for each blank, in order, which is copied. It is cheaper than
// adding the fields one by one, not least because, unlike Add, it does not look at the values: they must be
// known to have no control bytes.
func (h *Header) AddLines(l *Lines, values ...[]byte) {
	l.addFields(h, values)
	size := l.size
	for _, v := range values {
		size += len(v)
	}
	own := slices.Grow(h.own, size)
	for i, v := range values {
		own = append(append(own, l.pieces[i]...), v...)
	}
	h.own = append(own, l.pieces[len(values)]...)
}

// addFields writes word by word: a copy of a field that was just written would wait for it.
func (l *Lines) addFields(h *Header, values [][]byte) {
	old := len(h.fields)
	h.fields = slices.Grow(h.fields, len(l.lines))[:old+len(l.lines)]
	added, moved := h.fields[old:], uint32(len(h.own))
	for i := range added {
		f, g := &l.lines[i], &added[i]
		g.start, g.value = f.start+moved, f.value+moved
		if f.blank {
			moved += uint32(len(values[0]))
			values = values[1:]
		}
		g.valueEnd, g.end = f.valueEnd+moved, f.end+moved
		g.nameLen, g.id, g.own, g.dead = f.nameLen, f.id, true, false
	}
	h.live += len(added)
	h.seen |= l.seen
}
