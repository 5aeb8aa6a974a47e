package hpack

// appendInt appends n with a prefix of so many bits; high are the bits above it. RFC 7541 §5.1.
func appendInt(dst []byte, high byte, prefix uint, n int) []byte {
	limit := 1<<prefix - 1
	if n < limit {
		return append(dst, high|byte(n))
	}
	dst = append(dst, high|byte(limit))
	for n -= limit; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// maxInt is the largest number we take: no table, string or index is as large.
const maxInt = 1<<28 - 1

// readInt reads a number with a prefix of so many bits from the beginning of p and returns what
// follows. RFC 7541 §5.1.
func readInt(p []byte, prefix uint) (n int, rest []byte, ok bool) {
	if len(p) == 0 {
		return 0, nil, false
	}
	limit := 1<<prefix - 1
	n, p = int(p[0])&limit, p[1:]
	if n < limit {
		return n, p, true
	}
	for shift := uint(0); shift <= 28 && len(p) > 0; shift += 7 {
		c := p[0]
		p = p[1:]
		if n += int(c&0x7f) << shift; n > maxInt {
			return 0, nil, false
		}
		if c < 0x80 {
			return n, p, true
		}
	}
	return 0, nil, false
}
