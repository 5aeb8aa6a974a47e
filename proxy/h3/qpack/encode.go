package qpack

// AppendPrefix begins a section. RFC 9204 §4.5.1.
func AppendPrefix(dst []byte) []byte { return append(dst, 0, 0) }

// AppendField appends a field, whose name's ASCII letters become lower case. It does not use the Huffman
// code, which costs more time than the bytes it saves. RFC 9204 §4.5.
func AppendField[T string | []byte](dst, name []byte, value T) []byte {
	var space [64]byte
	lower := append(space[:0], name...)
	for i, c := range lower {
		if c >= 'A' && c <= 'Z' {
			lower[i] = c | 0x20
		}
	}
	f, ok := indexes[string(lower)]
	if !ok {
		dst = appendInt(dst, 0x20, 3, uint64(len(lower)))
		dst = append(dst, lower...)
		return appendString(dst, value)
	}
	for _, i := range f.values {
		if string(static[i].value) == string(value) {
			return appendInt(dst, 0xc0, 6, uint64(i))
		}
	}
	return appendString(appendInt(dst, 0x50, 4, uint64(f.name)), value)
}

// statuses are the entries of :status in the static table, by status.
var statuses = func() (table [1000]uint8) {
	for _, i := range indexes[":status"].values {
		v := static[i].value
		table[int(v[0]-'0')*100+int(v[1]-'0')*10+int(v[2]-'0')] = uint8(i)
	}
	return
}()

// AppendStatus appends :status, which is from 100 to 999.
func AppendStatus(dst []byte, status int) []byte {
	if i := statuses[status]; i != 0 {
		return appendInt(dst, 0xc0, 6, uint64(i))
	}
	dst = appendInt(dst, 0x50, 4, uint64(indexes[":status"].name))
	return append(dst, 3, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10))
}

func appendString[T string | []byte](dst []byte, s T) []byte {
	return append(appendInt(dst, 0, 7, uint64(len(s))), s...)
}

// appendInt appends an integer with a prefix of n bits below those of first. RFC 7541 §5.1.
func appendInt(dst []byte, first byte, n uint, v uint64) []byte {
	mask := uint64(1)<<n - 1
	if v < mask {
		return append(dst, first|byte(v))
	}
	dst = append(dst, first|byte(mask))
	for v -= mask; v >= 0x80; v >>= 7 {
		dst = append(dst, byte(v)|0x80)
	}
	return append(dst, byte(v))
}
