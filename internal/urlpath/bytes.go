package urlpath

// The classes of bytes in a path.
const (
	plain   = iota // stands for itself: unreserved or a delimiter
	slash          // divides segments
	escape         // "%"
	foreign        // no part of a URI, but sent by clients: escaped
	refused        // never meant as a part of a path
)

// classes tells the class of each byte. RFC 3986 §3.3; the brackets are not in pchar, but browsers
// send them and their escapes mean something else (§2.2), so they stay.
var classes = func() (classes [256]uint8) {
	for c := range classes {
		switch c := byte(c); {
		case unreserved(c), isAny(c, "!$&'()*+,;=:@[]"):
			classes[c] = plain
		case c == '/':
			classes[c] = slash
		case c == '%':
			classes[c] = escape
		case c <= ' ', c == 0x7f, c == '#', c == '?':
			classes[c] = refused
		default:
			classes[c] = foreign
		}
	}
	return
}()

func isAny(c byte, set string) bool {
	for i := 0; i < len(set); i++ {
		if set[i] == c {
			return true
		}
	}
	return false
}

// unreserved characters mean the same escaped and not. RFC 3986 §2.3.
func unreserved(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func isLower(c byte) bool { return 'a' <= c && c <= 'f' }

// Unescape reads the percent escape at the start of s.
func Unescape[T string | []byte](s T) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	hi, lo := unhex(s[1]), unhex(s[2])
	return hi<<4 | lo&0xf, hi < 16 && lo < 16
}

// unhex gives a hexadecimal digit's value, or more than 15.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// appendByte appends what stands for the byte c of an escape: c itself when that means the same.
func appendByte(dst []byte, c byte) []byte {
	if unreserved(c) {
		return append(dst, c)
	}
	return appendEscape(dst, c)
}

func appendEscape(dst []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[c>>4], digits[c&15])
}
