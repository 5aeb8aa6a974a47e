// Package redirect answers with a redirection, for the middlewares that do.
package redirect

import (
	"bytes"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Status is the status of a redirection: 301 or 302 for a GET, which clients may always repeat as
// a GET; 308 or 307 for other methods, which must keep theirs. RFC 9110 §15.4.
func Status(method string, permanent bool) int {
	switch {
	case method == "GET" && permanent:
		return 301
	case method == "GET":
		return 302
	case permanent:
		return 308
	default:
		return 307
	}
}

// Answer makes a redirection to location the response of x.
func Answer(x *exchange.Exchange, location []byte, permanent bool) {
	status := Status(x.Request.Method, permanent)
	x.Respond(status, "text/plain; charset=utf-8", exchange.StatusText(status))
	x.Response.Header.AddBytes(exchange.Location, location)
}

var (
	httpScheme  = []byte("http")
	httpsScheme = []byte("https")
	separator   = []byte("://")
	query       = []byte("?")
)

// Scheme is the request's scheme as bytes.
func Scheme(r *exchange.Request) []byte {
	if r.Scheme == "https" {
		return httpsScheme
	}
	return httpScheme
}

// URL is the absolute URL of scheme, authority, and r's path and query, in memory of the exchange.
func URL(r *exchange.Request, scheme, authority []byte) []byte {
	path := r.Path
	if len(path) == 0 || path[0] != '/' { // "*"
		path = []byte("/")
	}
	if !r.HasQuery {
		return r.Join(scheme, separator, authority, path)
	}
	return r.Join(scheme, separator, authority, path, query, r.Query)
}

// SplitPort divides an authority into host, brackets kept, and port; the port is nil without one.
func SplitPort(authority []byte) (host, port []byte) {
	i := bytes.LastIndexByte(authority, ':')
	if i < 0 || bytes.IndexByte(authority[i:], ']') >= 0 {
		return authority, nil
	}
	return authority[:i], authority[i+1:]
}
