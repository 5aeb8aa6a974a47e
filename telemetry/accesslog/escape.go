package accesslog

import (
	"encoding/binary"
	"unicode/utf8"
)

const hex = "0123456789abcdef"

// plainByte marks the bytes that stand for themselves in every format.
var plainByte = func() (plain [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return
}()

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// plain reports whether all bytes of s stand for themselves. It looks at eight at a time: v-ones*n
// &^ v has the high bit of a byte that is less than n, up to the first such byte.
func plain(s []byte) bool {
	for ; len(s) >= 8; s = s[8:] {
		v := binary.LittleEndian.Uint64(s)
		quote, slash, del := v^'"'*ones, v^'\\'*ones, v^0x7f*ones
		if (v|(v-' '*ones)&^v|(quote-ones)&^quote|(slash-ones)&^slash|(del-ones)&^del)&highs != 0 {
			return false
		}
	}
	for _, c := range s {
		if !plainByte[c] {
			return false
		}
	}
	return true
}

// appendJSON appends s as the inside of a JSON string: whatever s is, the result is valid and on one
// line. What is not UTF-8 becomes U+FFFD.
func appendJSON[T string | []byte](b []byte, s T) []byte {
	at := len(b)
	if b = append(b, s...); plain(b[at:]) {
		return b
	}
	return escapeJSON(b[:at], s)
}

func escapeJSON[T string | []byte](b []byte, s T) []byte {
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainByte[c] {
			i++
			continue
		}
		b = append(b, s[done:i]...)
		if c < utf8.RuneSelf {
			b = appendEscaped(b, c)
			i++
		} else {
			r, size := decodeRune(s[i:])
			if r == utf8.RuneError || r < 0xa0 || r == 0x2028 || r == 0x2029 {
				b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
			} else {
				b = append(b, s[i:i+size]...)
			}
			i += size
		}
		done = i
	}
	return append(b, s[done:]...)
}

// decodeRune decodes the first rune of s, which is not empty.
func decodeRune[T string | []byte](s T) (rune, int) {
	var head [utf8.UTFMax]byte
	return utf8.DecodeRune(head[:copy(head[:], s)])
}

func appendEscaped(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// appendCLF appends s so that it can end neither its quotes nor its line: other bytes are \xhh.
func appendCLF[T string | []byte](b []byte, s T) []byte {
	at := len(b)
	if b = append(b, s...); plain(b[at:]) {
		return b
	}
	b = b[:at]
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case plainByte[c]:
			b = append(b, c)
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// appendPath is appendCLF for what stands among spaces: spaces are escaped too.
func appendPath[T string | []byte](b []byte, s T) []byte {
	at := len(b)
	b = appendCLF(b, s)
	for i := at; i < len(b); i++ {
		if b[i] == ' ' {
			b = append(b, "   "...)
			copy(b[i+4:], b[i+1:])
			copy(b[i:], `\x20`)
		}
	}
	return b
}

// appendWord is appendPath for what must not be missing: nothing is "-".
func appendWord[T string | []byte](b []byte, s T) []byte {
	if len(s) == 0 {
		return append(b, '-')
	}
	return appendPath(b, s)
}

// appendQuoted puts s in quotes; nothing is "-" in quotes.
func appendQuoted[T string | []byte](b []byte, s T) []byte {
	if len(s) == 0 {
		return append(b, `"-"`...)
	}
	b = append(b, '"')
	b = appendCLF(b, s)
	return append(b, '"')
}
