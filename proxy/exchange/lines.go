package exchange

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

// Lines are fields made ready to be added together. They do not change.
type Lines struct {
	text   []byte
	fields []field
	seen   uint64
}

// NewLines makes lines of names and values in turn.
func NewLines(fields ...Field) *Lines {
	var h Header
	for _, f := range fields {
		h.Add(f.Name, f.Value)
	}
	return &Lines{text: h.own, fields: h.fields, seen: h.seen}
}

// Field is a name with a value.
type Field struct {
	Name  Name
	Value string
}

// AddLines appends all fields of l. It is cheaper than adding them one by one.
func (h *Header) AddLines(l *Lines) {
	at := uint32(len(h.own))
	h.own = append(h.own, l.text...)
	for _, f := range l.fields {
		f.start += at
		f.value += at
		f.valueEnd += at
		f.end += at
		h.fields = append(h.fields, f)
	}
	h.live += len(l.fields)
	h.seen |= l.seen
}
