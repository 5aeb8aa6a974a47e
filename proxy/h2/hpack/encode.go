package hpack

import (
	"hash/maphash"
	"unsafe"

	"github.com/pergola-mesh/pergola/internal/huffman"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// text lets b be read as a string, for as long as it does not change.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// add appends a field whose name is at index in the static table or, when that is 0, is name.
func (e *Encoder) add(dst []byte, index int, name, value string) []byte {
	if 4*(len(name)+len(value)+fields.Overhead) > e.table.max { // one such would push out too much
		return appendLiteral(dst, 0, 4, index, name, value)
	}
	hash := hashOf(index, name, value)
	r, seen := e.lately(hash)
	if !seen {
		return appendLiteral(dst, 0, 4, index, name, value)
	}
	if n := int(e.inserted - r.number); r.number != 0 && n < e.table.count {
		if entry := e.table.at(n + 1); string(e.table.valueOf(entry)) == value && e.named(entry, index, name) {
			return appendInt(dst, 0x80, 7, staticLen+1+n)
		}
	}
	if index != 0 {
		name = static[index].name
	}
	e.table.insert(fields.Kind{}, name, value)
	e.inserted++
	r.number = e.inserted
	dst = appendName(dst, 0x40, 6, index, name)
	if n := huffman.Len(value); n < len(value) {
		return huffman.Append(appendInt(dst, 0x80, 7, n), value)
	}
	return append(appendInt(dst, 0, 7, len(value)), value...)
}

// lately returns what is known of the field with a hash, and whether that is anything but that it came now.
func (e *Encoder) lately(hash uint32) (*recent, bool) {
	if e.recent == nil {
		e.recent = new([recentSets][recentWays]recent)
	}
	set := &e.recent[hash%recentSets]
	if set[0].hash == hash {
		return &set[0], true
	}
	for i := 1; i < recentWays; i++ {
		if r := set[i]; r.hash == hash {
			copy(set[1:], set[:i])
			set[0] = r
			return &set[0], true
		}
	}
	copy(set[1:], set[:])
	set[0] = recent{hash: hash}
	return &set[0], false
}

// named reports whether entry's name is the one at index, or name in any case.
func (e *Encoder) named(entry *entry, index int, name string) bool {
	if index != 0 {
		return string(e.table.nameOf(entry)) == static[index].name
	}
	return exchange.EqualFold(e.table.nameOf(entry), name)
}

func hashOf(index int, name, value string) uint32 {
	h := maphash.String(seed, value) + uint64(index)*0x9e3779b97f4a7c15
	if index == 0 {
		h += maphash.String(seed, name) * 0x9e3779b97f4a7c15
	}
	return uint32(h>>32) | 1 // 0 is what an empty place has
}

// appendLiteral appends a field that goes into no table. It is not Huffman coded: that would cost both
// ends more than the bytes.
func appendLiteral(dst []byte, high byte, prefix uint, index int, name, value string) []byte {
	dst = appendName(dst, high, prefix, index, name)
	return append(appendInt(dst, 0, 7, len(value)), value...)
}

// appendName appends the beginning of a literal field: its name by index, or in lower case.
func appendName(dst []byte, high byte, prefix uint, index int, name string) []byte {
	dst = appendInt(dst, high, prefix, index)
	if index != 0 {
		return dst
	}
	dst = appendInt(dst, 0, 7, len(name))
	for i := range len(name) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}
