// Package urlpath holds the one normal form of a request path: what rules match is what is
// forwarded.
//
// In the normal form every percent escape of an unreserved character is decoded, every other escape
// stays, with upper-case digits, and every byte that a URI must not hold is an escape. Nothing is
// decoded twice: "%2541" stays as it is. Unless told otherwise there are no dot segments and no empty
// segments either. Normalizing a normal path changes nothing. RFC 3986 §6.2.2.
package urlpath

// Mode says what becomes of dot segments and duplicate slashes.
type Mode uint8

const (
	// Sanitize resolves dot segments and merges duplicate slashes. It is the default.
	Sanitize Mode = iota
	// KeepSegments leaves both as they are.
	KeepSegments
)

// Error is why a path was refused. Rule names the check for logs and counters.
type Error struct {
	Rule   string
	reason string
}

// Error tells what was wrong, without the client's text.
func (e *Error) Error() string { return e.reason }

// The refusals of Normalize.
var (
	ErrEscape   = &Error{"path_bad_escape", "path has a % that two hexadecimal digits do not follow"}
	ErrControl  = &Error{"path_control_byte", "path has a space or control byte"}
	ErrFragment = &Error{"path_fragment", "path has a #"}
	ErrQuery    = &Error{"path_question_mark", "path has a ?"}
	ErrRelative = &Error{"path_relative", "path does not begin with /"}
)

// Normalize returns the normal form of raw, the path of a request target without its query. It is
// raw itself when nothing had to change; else it is appended to dst, and only the appended part is
// returned. An empty path is "/" (RFC 9110 §4.2.3), and "*" stays for OPTIONS.
//
// Bytes that a URI must not hold but clients send, such as "|" or UTF-8, are escaped rather than
// refused: each has one escape (RFC 3987 §3.1), so no two parties can read the result differently,
// and the upstream is sent nothing but RFC 3986 text. Spaces, control bytes, "#", "?" and broken
// escapes have no such meaning; they are an *Error.
func Normalize(dst, raw []byte, mode Mode) ([]byte, error) {
	if len(raw) == 0 {
		return append(dst, '/')[len(dst):], nil
	}
	if raw[0] != '/' {
		if len(raw) == 1 && raw[0] == '*' {
			return raw, nil
		}
		return nil, ErrRelative
	}
	if normal(raw, mode) {
		return raw, nil
	}
	start := len(dst)
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch classes[c] {
		case escape:
			v, ok := Unescape(raw[i:])
			if !ok {
				return nil, ErrEscape
			}
			dst = appendByte(dst, v)
			i += 2
		case foreign:
			dst = appendEscape(dst, c)
		case refused:
			return nil, refusal(c)
		default:
			dst = append(dst, c)
		}
	}
	path := dst[start:]
	if mode == Sanitize {
		path = sanitize(path)
	}
	return path, nil
}

func refusal(c byte) error {
	switch c {
	case '#':
		return ErrFragment
	case '?':
		return ErrQuery
	}
	return ErrControl
}

// normal reports whether path, which begins with "/", is in the normal form already.
func normal(path []byte, mode Mode) bool {
	for i := 0; i < len(path); i++ {
		switch classes[path[i]] {
		case plain:
		case slash:
			if mode == Sanitize && dubious(path[i+1:]) {
				return false
			}
		case escape:
			v, ok := Unescape(path[i:])
			if !ok || unreserved(v) || isLower(path[i+1]) || isLower(path[i+2]) {
				return false
			}
			i += 2
		default:
			return false
		}
	}
	return true
}

// dubious reports whether rest, which follows a slash, begins with an empty or dot segment.
func dubious(rest []byte) bool {
	if len(rest) == 0 {
		return false
	}
	if rest[0] == '/' {
		return true
	}
	if rest[0] != '.' {
		return false
	}
	rest = rest[1:]
	if len(rest) > 0 && rest[0] == '.' {
		rest = rest[1:]
	}
	return len(rest) == 0 || rest[0] == '/'
}

// sanitize resolves dot segments and merges slashes, in place. Like Traefik's, and unlike RFC 3986
// §5.2.4, it leaves no slash behind for a dot segment at the end: "/a/b/.." is "/a".
func sanitize(path []byte) []byte {
	trailing := path[len(path)-1] == '/'
	w := 0
	for r := 0; r < len(path); {
		if path[r] == '/' {
			r++
			continue
		}
		end := r
		for end < len(path) && path[end] != '/' {
			end++
		}
		switch segment := path[r:end]; {
		case string(segment) == ".":
		case string(segment) == "..":
			for w > 0 {
				if w--; path[w] == '/' {
					break
				}
			}
		default:
			path[w] = '/'
			w += 1 + copy(path[w+1:], segment)
		}
		r = end
	}
	if w == 0 || trailing {
		path[w] = '/'
		w++
	}
	return path[:w]
}
