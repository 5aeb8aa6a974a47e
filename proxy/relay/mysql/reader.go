package mysql

import (
	"bytes"
	"encoding/binary"
)

// reader takes a payload apart. Once something is missing bad is set, and all else is empty.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

// number is an unsigned number of n bytes, up to 8.
func (r *reader) number(n int) (v uint64) {
	var b [8]byte
	copy(b[:], r.take(n))
	return binary.LittleEndian.Uint64(b[:])
}

// text is a text that ends with a zero.
func (r *reader) text() []byte {
	end := bytes.IndexByte(r.b, 0)
	p := r.take(end)
	r.take(min(1, len(r.b)))
	return p
}

// lastText is a text that ends with a zero or with the packet, as some clients and servers have it.
func (r *reader) lastText() []byte {
	if bytes.IndexByte(r.b, 0) < 0 {
		return r.take(len(r.b))
	}
	return r.text()
}

// block is a number of bytes behind their number, which is written as in a result: in one, three, four or
// nine bytes.
func (r *reader) block() []byte {
	var n uint64
	switch first := r.number(1); first {
	case 0xfc:
		n = r.number(2)
	case 0xfd:
		n = r.number(3)
	case 0xfe:
		n = r.number(8)
	case 0xfb, 0xff: // no number
		r.bad = true
	default:
		n = first
	}
	if r.bad || n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	return r.take(int(n))
}

// appendBlock appends what block reads.
func appendBlock(b, p []byte) []byte {
	switch n := len(p); {
	case n < 0xfb:
		b = append(b, byte(n))
	case n <= 0xffff:
		b = append(b, 0xfc, byte(n), byte(n>>8))
	default:
		b = append(b, 0xfd, byte(n), byte(n>>8), byte(n>>16))
	}
	return append(b, p...)
}

// appendText appends what text reads.
func appendText[T string | []byte](b []byte, text T) []byte { return append(append(b, text...), 0) }
