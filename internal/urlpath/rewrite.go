package urlpath

import (
	"slices"
)

// Literal puts text from the configuration into the normal form, so that it compares with request
// paths and can become a part of one: "/foo bar" is "/foo%20bar". Escapes in it are kept as escapes; a
// "%" that begins none, "?" and "#" are taken for what they are and escaped. Segments stay.
func Literal(text string) []byte { return appendLiteral(nil, text) }

func appendLiteral[T string | []byte](dst []byte, text T) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch classes[c] {
		case escape:
			if v, ok := Unescape(text[i:]); ok {
				dst = appendByte(dst, v)
				i += 2
				continue
			}
			dst = appendEscape(dst, c)
		case foreign, refused:
			dst = appendEscape(dst, c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// Rewrite joins pieces of text to a path in the normal form, sanitized by mode: whatever an edit put
// together cannot mean one thing to us and another to the upstream ("/api../x" without "/api" is
// "/x", not "/../x"). The slash at the beginning is added where it is missing. The path is appended to
// dst and only the appended part is returned. It does not keep the pieces.
//
//	var buf [256]byte
//	x.Request.SetPath(urlpath.Rewrite(buf[:0], urlpath.Sanitize, prefix, x.Request.Path))
func Rewrite(dst []byte, mode Mode, pieces ...[]byte) []byte {
	start := len(dst)
	for _, piece := range pieces {
		dst = append(dst, piece...)
	}
	if len(dst) == start || dst[start] != '/' {
		dst = slices.Insert(dst, start, '/')
	}
	path := dst[start:]
	if !normal(path, mode) {
		end := len(dst)
		dst = appendLiteral(dst, path)
		path = append(dst[:start], dst[end:]...)[start:]
		if mode == Sanitize {
			path = sanitize(path)
		}
	}
	return path
}
