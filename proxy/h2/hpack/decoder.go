package hpack

import (
	"errors"
	"fmt"

	"github.com/pergola-mesh/pergola/internal/huffman"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// ErrCompression is a header block that cannot be decoded: the connection cannot go on, and ends with
// COMPRESSION_ERROR. RFC 9113 §4.3.
var ErrCompression = errors.New("compression: the header block cannot be decoded")

// errLateUpdate is a change of the table's size behind a field: also ErrCompression.
var errLateUpdate = fmt.Errorf("%w: a table size update is behind a field", ErrCompression)

// DefaultTableSize is the size of a dynamic table that nobody has said anything about.
// RFC 9113 §6.5.2.
const DefaultTableSize = 4096

// Decoder decodes the header blocks of one direction of a connection.
type Decoder struct {
	table   table
	allowed int    // the largest table the peer may use
	name    []byte // scratch for names and values that do not lie in the block as they are
	value   []byte
}

// NewDecoder makes a decoder that keeps a dynamic table of up to size bytes: what the peer was told by
// SETTINGS_HEADER_TABLE_SIZE, DefaultTableSize if it was not. Until the peer has seen that it uses the
// default, and so that much is always allowed.
func NewDecoder(size int) *Decoder {
	return &Decoder{allowed: max(size, DefaultTableSize), table: table{max: DefaultTableSize}}
}

// Decode adds the fields of a whole header block to b. A limit of b that is passed is no error here: the
// rest is decoded for the sake of the table, which costs little, and b.Over tells.
func (d *Decoder) Decode(b *fields.Block, block []byte) error {
	for first := true; len(block) > 0; {
		c := block[0]
		var ok bool
		switch {
		case c&0x80 != 0: // RFC 7541 §6.1
			block, ok = d.indexed(b, block)
			first = false
		case c&0xc0 == 0x40: // §6.2.1
			block, ok = d.literal(b, block, 6, true)
			first = false
		case c&0xe0 == 0x20: // §6.3, and only at the beginning: §4.2. Two may be needed; more do no harm
			if !first {
				return errLateUpdate
			}
			block, ok = d.resize(block)
		default: // §6.2.2, §6.2.3
			block, ok = d.literal(b, block, 4, false)
			first = false
		}
		if !ok {
			return ErrCompression
		}
	}
	return nil
}

func (d *Decoder) resize(p []byte) ([]byte, bool) {
	n, p, ok := readInt(p, 5)
	if !ok || n > d.allowed {
		return nil, false
	}
	d.table.resize(n)
	return p, true
}

func (d *Decoder) indexed(b *fields.Block, p []byte) ([]byte, bool) {
	n, p, ok := readInt(p, 7)
	switch {
	case !ok || n == 0:
		return nil, false
	case n <= staticLen:
		b.AddText(staticKinds[n], static[n].name, static[n].value)
	case n-staticLen > d.table.count:
		return nil, false
	default:
		e := d.table.at(n - staticLen)
		b.AddKind(e.kind, d.table.nameOf(e), d.table.valueOf(e))
	}
	return p, true
}

// literal reads a field with its value, and a name by its index or in full.
func (d *Decoder) literal(b *fields.Block, p []byte, prefix uint, insert bool) ([]byte, bool) {
	n, p, ok := readInt(p, prefix)
	if !ok {
		return nil, false
	}
	var name []byte
	var kind fields.Kind
	switch {
	case n == 0:
		if name, p, ok = readString(&d.name, p); !ok {
			return nil, false
		}
		kind = fields.KindOf(name)
	case n <= staticLen:
		d.name = append(d.name[:0], static[n].name...)
		name, kind = d.name, staticKinds[n]
	case n-staticLen > d.table.count:
		return nil, false
	default:
		e := d.table.at(n - staticLen)
		name, kind = d.table.nameOf(e), e.kind
		if insert { // which may evict it
			d.name = append(d.name[:0], name...)
			name = d.name
		}
	}
	value, p, ok := readString(&d.value, p)
	if !ok {
		return nil, false
	}
	b.AddKind(kind, name, value)
	if insert {
		d.table.insert(kind, text(name), text(value))
	}
	return p, true
}

// readString reads a string literal: a part of p or, where it is coded, in scratch. RFC 7541 §5.2.
func readString(scratch *[]byte, p []byte) (s, rest []byte, ok bool) {
	if len(p) == 0 {
		return nil, nil, false
	}
	coded := p[0]&0x80 != 0
	n, p, ok := readInt(p, 7)
	if !ok || n > len(p) {
		return nil, nil, false
	}
	s, rest = p[:n], p[n:]
	if coded {
		s, ok = huffman.Decode((*scratch)[:0], s)
		if *scratch = s; cap(s) > maxScratch {
			*scratch = nil
		}
	}
	return s, rest, ok
}

// maxScratch is how much memory a decoder keeps for the next string, in bytes.
const maxScratch = 8 << 10
