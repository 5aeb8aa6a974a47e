package exchange

import (
	"bytes"
	"iter"
	"slices"
)

// Header is a block of fields, kept as it was received: fields are offsets into the received bytes,
// edits go to memory of its own, and AppendTo copies unmodified runs whole. Field names compare
// without regard to case. The zero value is an empty block.
type Header struct {
	raw    []byte // the received block; not ours to change
	own    []byte // lines added since
	fields []field
	live   int    // fields not deleted
	seen   uint64 // a bit for every well-known name that may be present
}

// field is one line "name: value CRLF" in raw or own.
type field struct {
	start, value, valueEnd, end uint32
	nameLen                     uint16
	id                          ID
	own, dead                   bool
}

// MaxNameLen is the longest field name a block can hold, in bytes.
const MaxNameLen = 1<<16 - 1

// Reset empties the block and makes raw the memory that AddReceived speaks of.
func (h *Header) Reset(raw []byte) {
	h.raw, h.own, h.fields, h.live, h.seen = raw, h.own[:0], h.fields[:0], 0, 0
}

// AddReceived adds the line raw[start:end], CRLF included, whose name is its first nameLen bytes and
// whose value is raw[value:valueEnd]. For codecs, which have validated the line.
func (h *Header) AddReceived(id ID, start, nameLen, value, valueEnd, end int) {
	f := h.grow()
	f.start, f.value, f.valueEnd, f.end = uint32(start), uint32(value), uint32(valueEnd), uint32(end)
	f.nameLen, f.id = uint16(nameLen), id
	h.seen |= 1 << id
	h.live++
}

// grow adds a field for the caller to write, word by word: the copy of one made elsewhere would wait for it.
func (h *Header) grow() *field {
	h.fields = append(h.fields, field{})
	return &h.fields[len(h.fields)-1]
}

func (h *Header) mem(f *field) []byte {
	if f.own {
		return h.own
	}
	return h.raw
}

func (h *Header) name(f *field) []byte {
	return h.mem(f)[f.start : f.start+uint32(f.nameLen)]
}

func (h *Header) value(f *field) []byte { return h.mem(f)[f.value:f.valueEnd:f.valueEnd] }

func (h *Header) is(f *field, n Name) bool {
	if f.dead || f.id != n.id {
		return false
	}
	return n.id != otherID || EqualFold(h.name(f), n.text)
}

// find returns the index of the first field called n at or after i, or -1.
func (h *Header) find(n Name, i int) int {
	if h.seen&(1<<n.id) == 0 {
		return -1
	}
	for ; i < len(h.fields); i++ {
		if h.is(&h.fields[i], n) {
			return i
		}
	}
	return -1
}

// Len is the number of fields.
func (h *Header) Len() int { return h.live }

// Has reports whether there is a field called n.
func (h *Header) Has(n Name) bool { return h.find(n, 0) >= 0 }

// Get returns the value of the first field called n; nil when there is none. An empty value is not
// nil. The bytes live until the block is edited or the exchange ends.
func (h *Header) Get(n Name) []byte {
	if i := h.find(n, 0); i >= 0 {
		return h.value(&h.fields[i])
	}
	return nil
}

// Values yields the value of every field called n, in order.
func (h *Header) Values(n Name) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := h.find(n, 0); i >= 0; i = h.find(n, i+1) {
			if !yield(h.value(&h.fields[i])) {
				return
			}
		}
	}
}

// All yields every field's name, as received or set, and value, in order.
func (h *Header) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := range h.fields {
			if f := &h.fields[i]; !f.dead && !yield(h.name(f), h.value(f)) {
				return
			}
		}
	}
}

// Each calls f with the number, name and value of every field, in order: All for codecs.
func (h *Header) Each(f func(id ID, name, value []byte)) {
	for i := range h.fields {
		if g := &h.fields[i]; !g.dead {
			f(g.id, h.name(g), h.value(g))
		}
	}
}

// Add appends a field. A CR, LF or NUL in value becomes a space: nothing that is set here can start
// another field.
func (h *Header) Add(n Name, value string) { addField(h, n, value) }

// AddBytes is Add for bytes, which are copied.
func (h *Header) AddBytes(n Name, value []byte) { addField(h, n, value) }

func addField[T string | []byte](h *Header, n Name, value T) {
	makeLine(h, h.grow(), n, value)
	h.seen |= 1 << n.id
	h.live++
}

// makeLine makes a line of h.own and f what tells where it is.
func makeLine[T string | []byte](h *Header, f *field, n Name, value T) {
	start := len(h.own)
	own := slices.Grow(h.own, len(n.text)+len(value)+4)
	own = append(append(own, n.text...), ':', ' ')
	at := len(own)
	own = append(own, value...)
	end := len(own)
	clean(own[at:])
	h.own = append(own, '\r', '\n')
	f.start, f.value, f.valueEnd, f.end = uint32(start), uint32(at), uint32(end), uint32(end+2)
	f.nameLen, f.id, f.own, f.dead = uint16(len(n.text)), n.id, true, false
}

func clean(value []byte) {
	for i, c := range value {
		if c < ' ' && (c == '\r' || c == '\n' || c == 0) {
			value[i] = ' '
		}
	}
}

// Set replaces every field called n by one.
func (h *Header) Set(n Name, value string) { setField(h, n, value) }

// SetBytes is Set for bytes, which are copied; they may be a part of the block.
func (h *Header) SetBytes(n Name, value []byte) { setField(h, n, value) }

func setField[T string | []byte](h *Header, n Name, value T) {
	i := h.find(n, 0)
	if i < 0 {
		addField(h, n, value)
		return
	}
	makeLine(h, &h.fields[i], n, value)
	for i = h.find(n, i+1); i >= 0; i = h.find(n, i+1) {
		h.fields[i].dead = true
		h.live--
	}
}

// Del removes every field called n.
func (h *Header) Del(n Name) {
	gone := false
	for i := h.find(n, 0); i >= 0; i = h.find(n, i+1) {
		h.fields[i].dead = true
		h.live--
		gone = true
	}
	if gone && n.id != otherID {
		h.seen &^= 1 << n.id
	}
}

// DelFunc removes every field for which drop returns true.
func (h *Header) DelFunc(drop func(name, value []byte) bool) {
	for i := range h.fields {
		if f := &h.fields[i]; !f.dead && drop(h.name(f), h.value(f)) {
			f.dead = true
			h.live--
		}
	}
}

// CopyFrom makes h a copy of o that shares no memory with it.
func (h *Header) CopyFrom(o *Header) {
	h.Reset(nil)
	for i := range o.fields {
		f := o.fields[i]
		if f.dead {
			continue
		}
		line := o.mem(&f)[f.start:f.end]
		at := uint32(len(h.own))
		h.own = append(h.own, line...)
		f.value, f.valueEnd, f.end, f.start = at+f.value-f.start, at+f.valueEnd-f.start, at+f.end-f.start, at
		f.own = true
		h.fields = append(h.fields, f)
		h.seen |= 1 << f.id
		h.live++
	}
}

// Detach moves the block to memory of its own, no more than it needs: what it was received in may be used again.
func (h *Header) Detach() {
	size := 0
	for i := range h.fields {
		if f := &h.fields[i]; !f.dead {
			size += int(f.end - f.start)
		}
	}
	own := Header{own: make([]byte, 0, size), fields: make([]field, 0, h.live)}
	own.CopyFrom(h)
	*h = own
}

// AppendTo appends the block as HTTP/1.1 lines, without the empty line that ends it.
// RFC 9112 §5.
func (h *Header) AppendTo(dst []byte) []byte {
	fields := h.fields
	for i := 0; i < len(fields); {
		f := &fields[i]
		if f.dead {
			i++
			continue
		}
		end := f.end
		for i++; i < len(fields); i++ {
			if g := &fields[i]; g.dead || g.own != f.own || g.start != end {
				break
			} else {
				end = g.end
			}
		}
		dst = append(dst, h.mem(f)[f.start:end]...)
	}
	return dst
}

// Contains reports whether a comma-separated list field called n has token among its members, in
// any case. RFC 9110 §5.6.1.
func (h *Header) Contains(n Name, token string) bool {
	for v := range h.Values(n) {
		for item := range List(v) {
			if EqualFold(item, token) {
				return true
			}
		}
	}
	return false
}

// List yields the members of a comma-separated list, trimmed, empty ones left out. Commas inside
// quoted strings divide nothing.
func List(value []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(value) > 0 {
			i, quoted := 0, false
			for ; i < len(value); i++ {
				if c := value[i]; c == '"' {
					quoted = !quoted
				} else if c == '\\' && quoted {
					i++
				} else if c == ',' && !quoted {
					break
				}
			}
			i = min(i, len(value))
			if item := bytes.Trim(value[:i], " \t"); len(item) > 0 && !yield(item) {
				return
			}
			value = value[min(i+1, len(value)):]
		}
	}
}
