// Package qpack is the field compression of HTTP/3, without a dynamic table: none is offered to clients
// and none of theirs is used, so a section depends on nothing but itself and no stream waits for another.
// RFC 9204.
package qpack

import (
	"errors"

	"github.com/pergola-mesh/pergola/internal/huffman"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// ErrDecompression is a section that cannot be decoded: the connection is to be closed with
// QPACK_DECOMPRESSION_FAILED. RFC 9204 §6.
var ErrDecompression = errors.New("a field section is not valid QPACK without a dynamic table")

// Decoder decodes field sections. The zero value is ready; it keeps buffers and is for one goroutine.
type Decoder struct{ name, value []byte }

// Decode adds the fields of a section to b. It stops, without an error, at the first field over b's
// limits: nothing that comes later depends on what is left out. RFC 9204 §4.5.
func (d *Decoder) Decode(b *fields.Block, section []byte) error {
	inserts, p, ok := readInt(section, 8)
	if !ok || inserts != 0 || len(p) == 0 {
		return ErrDecompression
	}
	negative := p[0]&0x80 != 0
	if _, p, ok = readInt(p, 7); !ok || negative { // §4.5.1.2: any base will do, but not one below zero
		return ErrDecompression
	}
	for len(p) > 0 && b.Over() == nil {
		if p, ok = d.field(b, p); !ok {
			return ErrDecompression
		}
	}
	return nil
}

// field adds the field at the beginning of p, and returns what comes behind it.
func (d *Decoder) field(b *fields.Block, p []byte) (rest []byte, ok bool) {
	switch c := p[0]; {
	case c&0xc0 == 0xc0: // indexed, static. §4.5.2
		var i uint64
		if i, p, ok = readInt(p, 6); !ok || i >= uint64(len(static)) {
			return nil, false
		}
		e := &static[i]
		b.AddKind(e.kind, e.name, e.value)
		return p, true
	case c&0xd0 == 0x50: // literal with the name of a static entry. §4.5.4
		var i uint64
		if i, p, ok = readInt(p, 4); !ok || i >= uint64(len(static)) {
			return nil, false
		}
		var value []byte
		if value, p, ok = readString(p, 7, &d.value); !ok {
			return nil, false
		}
		e := &static[i]
		b.AddKind(e.kind, e.name, value)
		return p, true
	case c&0xe0 == 0x20: // literal. §4.5.6
		var name, value []byte
		if name, p, ok = readString(p, 3, &d.name); !ok {
			return nil, false
		}
		if value, p, ok = readString(p, 7, &d.value); !ok {
			return nil, false
		}
		b.Add(name, value)
		return p, true
	}
	return nil, false // what is left are references to a dynamic table
}

// readString reads a string whose length has a prefix of n bits, with the bit of the Huffman code above
// it. The bytes are p's, or scratch's until its next use. RFC 7541 §5.2.
func readString(p []byte, n uint, scratch *[]byte) (s, rest []byte, ok bool) {
	if len(p) == 0 {
		return nil, nil, false
	}
	coded := p[0]&(1<<n) != 0
	length, p, ok := readInt(p, n)
	if !ok || length > uint64(len(p)) {
		return nil, nil, false
	}
	s, rest = p[:length], p[length:]
	if !coded {
		return s, rest, true
	}
	*scratch, ok = huffman.Decode((*scratch)[:0], s)
	return *scratch, rest, ok
}

// readInt reads an integer with a prefix of n bits. RFC 7541 §5.1; RFC 9204 §4.1.1 bounds it at 62 bits.
func readInt(p []byte, n uint) (v uint64, rest []byte, ok bool) {
	if len(p) == 0 {
		return 0, nil, false
	}
	mask := uint64(1)<<n - 1
	if v = uint64(p[0]) & mask; v < mask {
		return v, p[1:], true
	}
	for i, shift := 1, uint(0); i < len(p) && shift < 56; i, shift = i+1, shift+7 {
		v += uint64(p[i]&0x7f) << shift
		if p[i]&0x80 == 0 {
			return v, p[i+1:], true
		}
	}
	return 0, nil, false
}
