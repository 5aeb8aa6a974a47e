// Package pathedit changes the path of a request and leaves it in normal form, so that what the next
// rule sees is what the server will see.
package pathedit

import (
	"bytes"
	"errors"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

var (
	errDots   = errors.New("the edited path has a dot segment")
	errEscape = errors.New("the edited path has a broken percent-encoding")
)

// Set makes the concatenation of parts, which may be pieces of the old path, the path of r. A
// missing "/" is put in front, repeated ones are merged, and what may not stand in a path is
// percent-encoded. A dot segment or a broken percent-encoding can only be the edit's doing, because
// the old path had none: that is somebody getting around a rule, and BadRequest.
func Set(r *exchange.Request, parts ...[]byte) error {
	path := r.Join(parts...)
	if !plain(path) {
		normal, err := normalise(make([]byte, 0, len(path)+16), path)
		if err != nil {
			return exchange.BadRequest.With(err)
		}
		path = normal
	}
	r.Path = path
	return nil
}

// Cut removes the first n bytes of the path of r, as Set of the rest. A cut through the middle of a
// percent-encoding is BadRequest.
func Cut(r *exchange.Request, n int) error {
	if n >= 1 && r.Path[n-1] == '%' || n >= 2 && r.Path[n-2] == '%' {
		return exchange.BadRequest.With(errEscape)
	}
	return Set(r, r.Path[n:])
}

// Encode brings a path, or a piece of one, out of a configuration into the form of a request's.
func Encode(path string) []byte {
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		out = appendByte(out, path[i])
	}
	return out
}

// plain reports whether path is surely in normal form.
func plain(path []byte) bool {
	if len(path) == 0 || path[0] != '/' {
		return false
	}
	last := byte(0)
	for _, c := range path {
		if last == '/' && (c == '/' || c == '.') || c == '%' || !allowed[c] {
			return false
		}
		last = c
	}
	return true
}

func normalise(dst, path []byte) ([]byte, error) {
	if len(path) == 0 || path[0] != '/' {
		dst = append(dst, '/')
	}
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && (i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2])) {
			return nil, errEscape
		}
		if c == '/' && len(dst) > 0 && dst[len(dst)-1] == '/' {
			continue
		}
		dst = appendByte(dst, c)
	}
	for segment := range bytes.SplitSeq(dst, []byte("/")) {
		if isDots(segment) {
			return nil, errDots
		}
	}
	return dst, nil
}

// isDots reports whether a segment means this or the parent one: "." and "..", encoded or not.
func isDots(segment []byte) bool {
	dots := 0
	for len(segment) > 0 {
		switch {
		case segment[0] == '.':
			segment = segment[1:]
		case len(segment) >= 3 && segment[0] == '%' && segment[1] == '2' && segment[2]|0x20 == 'e':
			segment = segment[3:]
		default:
			return false
		}
		dots++
	}
	return dots == 1 || dots == 2
}

const hexDigits = "0123456789ABCDEF"

func appendByte(dst []byte, c byte) []byte {
	if allowed[c] {
		return append(dst, c)
	}
	return append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// allowed are the bytes that may stand in a path, and "%". RFC 3986 §3.3.
var allowed = func() (set [256]bool) {
	for c := range set {
		c := byte(c)
		set[c] = '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' ||
			bytes.IndexByte([]byte("-._~!$&'()*+,;=:@/%"), c) >= 0
	}
	return
}()
