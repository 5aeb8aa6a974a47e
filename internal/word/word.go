// Package word looks at text eight bytes at a time. The functions are small enough to be inlined.
package word

import (
	"encoding/binary"
	"math/bits"
)

const ones, tops = 0x0101010101010101, 0x8080808080808080

// At is the eight bytes at text[at:], the first of them lowest. Zeros stand for what is behind the end. at is
// at most the length of text.
func At(text []byte, at int) uint64 {
	if from, to := uint(at), uint(at)+8; to <= uint(len(text)) { // without signs, few checks of bounds are left
		return binary.LittleEndian.Uint64(text[from:to:to])
	}
	return last(text[at:])
}

// last is At where there are fewer than eight bytes.
func last(rest []byte) (w uint64) {
	for i := len(rest) - 1; i >= 0; i-- {
		w = w<<8 | uint64(rest[i])
	}
	return w
}

// Controls marks the control bytes in w, those under 0x20 and DEL: of each the top bit is set in what it
// returns, and of the other bytes none.
func Controls(w uint64) uint64 {
	low := w &^ tops // nothing carries from one byte into the next
	return (low + ones | ^(low + ones*0x60)) & ^w & tops
}

// First is where the first mark is; 8 when there is none.
func First(marks uint64) int { return bits.TrailingZeros64(marks) >> 3 }

// Equal marks the bytes in w that are c. The first mark is right; those above it may not be.
func Equal(w uint64, c byte) uint64 {
	w ^= ones * uint64(c)
	return (w - ones) &^ w & tops
}

// Through has all bits set up to the first mark, and those of the byte that is marked.
func Through(marks uint64) uint64 { return marks ^ (marks - 1) }
