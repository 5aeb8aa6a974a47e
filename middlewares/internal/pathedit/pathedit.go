// Package pathedit changes the path of a request and leaves it in normal form, so that what the next
// rule sees is what the server will see.
package pathedit

import (
	"bytes"
	"errors"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

var (
	errDots   = exchange.BadRequest.With(errors.New("the edited path has a dot segment"))
	errEscape = exchange.BadRequest.With(errors.New("the path would be cut inside a percent-encoding"))
)

// Set makes the concatenation of parts, which may be pieces of the old path, the path of r: in
// normal form, with a "/" at the beginning and repeated ones merged. A dot segment that the old path
// did not have is somebody getting around a rule: the path stays and the error is BadRequest. Where
// the entry point lets such segments through, so that the old path had some, they are left alone.
func Set(r *exchange.Request, parts ...[]byte) error {
	var buf, clean [256]byte
	path := urlpath.Rewrite(buf[:0], urlpath.KeepSegments, parts...)
	if sanitized(r.Path) && !sanitized(path) {
		if hasDots(path) {
			return errDots
		}
		path = urlpath.Rewrite(clean[:0], urlpath.Sanitize, path)
	}
	r.SetPath(path)
	return nil
}

// Cut removes the first n bytes of the path of r, as Set of the rest.
func Cut(r *exchange.Request, n int) error {
	if n >= 1 && r.Path[n-1] == '%' || n >= 2 && r.Path[n-2] == '%' {
		return errEscape
	}
	return Set(r, r.Path[n:])
}

// sanitized reports whether a path in normal form has neither dot segments nor empty ones.
func sanitized(path []byte) bool { return !bytes.Contains(path, []byte("//")) && !hasDots(path) }

func hasDots(path []byte) bool {
	for len(path) > 0 {
		segment, rest, _ := bytes.Cut(path, []byte("/"))
		if isDots(segment) {
			return true
		}
		path = rest
	}
	return false
}

func isDots(segment []byte) bool { return string(segment) == "." || string(segment) == ".." }
