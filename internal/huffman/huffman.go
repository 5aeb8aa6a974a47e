// Package huffman is the Huffman code that header fields are sent in: HTTP/2's and HTTP/3's.
package huffman

import "encoding/binary"

// codeLen is the length of each byte's code in bits. The code is canonical: codes of one length
// follow each other in the order of the bytes, and are above all that are shorter.
// RFC 7541, appendix B.
var codeLen = [256]uint8{
	13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
	28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
	6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
	5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
	13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
	7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
	15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
	6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
	20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
	24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
	22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
	21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
	26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
	19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
	20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
	26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
}

const (
	maxCode  = 30 // bits; also the length of the end-of-string code, all ones
	rootBits = 9  // codes up to here are found by one look
)

// code is each byte's code.
var code [256]uint32

// decoding: root finds short codes by their first bits; the others are sorted by length, and a length's
// codes begin at first, whose byte is sorted[start].
var (
	root   [1 << rootBits]struct{ symbol, length uint8 }
	first  [maxCode + 2]uint32 // left-aligned in 32 bits
	base   [maxCode + 2]uint32
	start  [maxCode + 2]int
	sorted [256]uint8
)

var _ = func() bool {
	next, n := uint32(0), 0
	for length := uint8(1); length <= maxCode; length++ {
		next <<= 1
		base[length], start[length], first[length] = next, n, next<<(32-length)
		for c := range 256 {
			if codeLen[c] != length {
				continue
			}
			code[c], sorted[n] = next, uint8(c)
			if length <= rootBits {
				for i := next << (rootBits - length); i < (next+1)<<(rootBits-length); i++ {
					root[i].symbol, root[i].length = uint8(c), length
				}
			}
			next++
			n++
		}
	}
	first[maxCode+1] = next << (32 - maxCode)
	return true
}()

// Append appends text in the Huffman code, padded with ones. RFC 7541 §5.2.
func Append(dst []byte, text string) []byte {
	var bits uint64
	n := uint(0)
	for i := range len(text) {
		c := text[i]
		bits = bits<<codeLen[c] | uint64(code[c])
		if n += uint(codeLen[c]); n >= 32 {
			n -= 32
			dst = binary.BigEndian.AppendUint32(dst, uint32(bits>>n))
		}
	}
	for ; n >= 8; n -= 8 {
		dst = append(dst, byte(bits>>(n-8)))
	}
	if n > 0 {
		dst = append(dst, byte(bits<<(8-n))|byte(0xff)>>n)
	}
	return dst
}

// Len is how many bytes Append appends.
func Len(text string) int {
	n := 0
	for i := range len(text) {
		n += int(codeLen[text[i]])
	}
	return (n + 7) / 8
}

// Decode appends the text that p is the code of. ok is false when it is not: it has the code of
// the end of the string, or padding that is longer than 7 bits or not all ones. RFC 7541 §5.2.
func Decode(dst, p []byte) (text []byte, ok bool) {
	var bits uint64 // the next n bits, left-aligned
	n := uint(0)
	for {
		for n <= 56 && len(p) > 0 {
			bits |= uint64(p[0]) << (56 - n)
			p, n = p[1:], n+8
		}
		if n == 0 {
			return dst, true
		}
		e := root[bits>>(64-rootBits)]
		symbol, length := e.symbol, uint(e.length)
		if length == 0 {
			top := uint32(bits >> 32)
			for length = rootBits + 1; length <= maxCode && top >= first[length+1]; length++ {
			}
			if length <= maxCode {
				symbol = sorted[start[length]+int(top>>(32-length)-base[length])]
			}
		}
		if length > n {
			// Not a code any more: padding.
			return dst, len(p) == 0 && n < 8 && bits>>(64-n) == 1<<n-1
		}
		if length > maxCode {
			return dst, false
		}
		dst = append(dst, symbol)
		bits <<= length
		n -= length
	}
}
