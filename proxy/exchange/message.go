package exchange

import (
	"bytes"
	"strings"
)

// Proto is the version of HTTP a message came by.
type Proto uint8

// The versions. Zero means none yet.
const (
	HTTP10 Proto = iota + 1
	HTTP11
	HTTP2
	HTTP3
)

// String gives the version as in a request line or log.
func (p Proto) String() string {
	switch p {
	case HTTP10:
		return "HTTP/1.0"
	case HTTP11:
		return "HTTP/1.1"
	case HTTP2:
		return "HTTP/2.0"
	case HTTP3:
		return "HTTP/3.0"
	}
	return "HTTP/?"
}

// Request is the client's message in normal form. RFC 9110 §3.4.
type Request struct {
	// Method is the method, case-sensitive. Standard methods are constants and cost nothing.
	Method string
	// Scheme is "http" or "https", by the connection or by what a trusted proxy said.
	Scheme string
	// Host is the authority: host and optional port, as received.
	Host []byte
	// Path is the path in normal form (package urlpath), still percent-encoded where that matters:
	// what rules match is what is forwarded. It begins with "/", or is "*" for OPTIONS.
	Path []byte
	// Query is what follows the "?", as received; HasQuery tells "/p?" from "/p".
	Query    []byte
	HasQuery bool
	// Target is the request target as received, for logs.
	Target []byte
	Proto  Proto
	// Header holds the end-to-end fields. Host, Content-Length and hop-by-hop fields are not in it:
	// they are Host, Length, Upgrade here. RFC 9110 §7.6.1.
	Header Header
	// Trailer holds the trailer fields once Body has answered io.EOF.
	Trailer Header
	// Body is nil when there is none.
	Body Body
	// Length is the size of the body in bytes; -1 when it is not known beforehand, 0 when none.
	Length int64
	// Upgrade is the protocol the client asks to switch to ("websocket"); nil for none.
	Upgrade []byte
	// Continue says that the client waits for a 100 before it sends the body. RFC 9110 §10.1.1.
	Continue bool

	scratch []byte
}

// reset clears field by field: it is cheaper than copying what is kept out and in again.
func (r *Request) reset() {
	r.Method, r.Scheme = "", ""
	r.Host, r.Path, r.Query, r.Target, r.Upgrade = nil, nil, nil, nil, nil
	r.HasQuery, r.Continue, r.Proto = false, false, 0
	r.Header.Reset(nil)
	r.Trailer.Reset(nil)
	r.Body, r.Length = nil, 0
	r.scratch = r.scratch[:0]
}

// Detach moves the request's head to memory of its own: what it was received in may be used again.
func (r *Request) Detach() {
	for _, p := range []*[]byte{&r.Host, &r.Path, &r.Query, &r.Target, &r.Upgrade} {
		*p = bytes.Clone(*p)
	}
	r.scratch = nil
	r.Header.Detach()
}

// SetPath replaces the path by the concatenation of parts, which may be pieces of the old one.
// It does not normalise: a caller that uses text from the client must (package urlpath).
func (r *Request) SetPath(parts ...[]byte) { r.Path = r.Join(parts...) }

// Join concatenates parts into memory that lives as long as the exchange.
func (r *Request) Join(parts ...[]byte) []byte {
	start := len(r.scratch)
	for _, p := range parts {
		r.scratch = append(r.scratch, p...)
	}
	return r.scratch[start:len(r.scratch):len(r.scratch)]
}

// WebSocket reports whether the client asks to switch to WebSocket, whatever the version of HTTP.
func (r *Request) WebSocket() bool { return r.Upgrade != nil && r.Offers([]byte("websocket")) }

// Offers reports whether protocol is among those that Upgrade lists. RFC 9110 §7.8.
func (r *Request) Offers(protocol []byte) bool {
	for item := range List(r.Upgrade) {
		if EqualFold(item, protocol) {
			return true
		}
	}
	return false
}

// Hostname is Host without the port and without brackets, in its own case.
func (r *Request) Hostname() []byte { return Hostname(r.Host) }

// Idempotent reports whether the method may be repeated without harm. RFC 9110 §9.2.2.
func (r *Request) Idempotent() bool {
	switch r.Method {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE":
		return true
	}
	return false
}

// Hostname cuts the port and the brackets of an IPv6 literal off an authority.
func Hostname(authority []byte) []byte {
	n := len(authority)
	if n == 0 {
		return authority
	}
	if authority[0] == '[' {
		for i := 1; i < n; i++ {
			if authority[i] == ']' {
				return authority[1:i]
			}
		}
		return authority
	}
	for i := n - 1; i >= 0; i-- {
		switch c := authority[i]; {
		case c == ':':
			return authority[:i]
		case c < '0' || c > '9':
			return authority
		}
	}
	return authority
}

// Response is the answer. A zero Status means there is none yet.
type Response struct {
	Status int
	Proto  Proto
	// Header holds the end-to-end fields; Content-Length is Length, hop-by-hop fields are gone.
	Header Header
	// Trailer holds the trailer fields once Body has answered io.EOF.
	Trailer Header
	// Body is nil when there is none. Whoever gives the response up closes it.
	Body Body
	// Length is the size of the body in bytes; -1 when it is not known beforehand. On an answer to
	// HEAD, and on a 304, it is what the body would have had, -1 when the server did not say.
	Length int64
	// Tunnel is set, with Status 101 (or 2xx to CONNECT), when the connection changes protocol.
	Tunnel Tunnel
	// Upgrade is the protocol a 101 switches to.
	Upgrade []byte
	// Ended is the gRPC status, plus one, that a body of gRPC-Web has told as its end; 0 where there is none.
	Ended uint8
	// Releaser is told once when the response is over, however it ended; nil for none. A service
	// sets it to know what is in flight.
	Releaser Releaser
}

// Releaser is told when a response it had a part in is over.
type Releaser interface{ Release() }

func (r *Response) reset() {
	r.Status, r.Proto = 0, 0
	r.Header.Reset(nil)
	r.Trailer.Reset(nil)
	r.Body, r.Length = nil, -1
	r.Tunnel, r.Upgrade, r.Releaser, r.Ended = nil, nil, nil, 0
}

// Detach is that of Request, for a response whose body is not in that memory.
func (r *Response) Detach() {
	r.Upgrade = bytes.Clone(r.Upgrade)
	r.Header.Detach()
}

// Close gives up the body and the tunnel, if any, and releases what served it. The codec calls it at
// the end of every exchange. It is safe to call more than once.
func (r *Response) Close() {
	if r.Body != nil {
		r.Body.Close()
		r.Body = nil
	}
	if r.Tunnel != nil {
		r.Tunnel.Close()
		r.Tunnel = nil
	}
	if r.Releaser != nil {
		r.Releaser.Release()
		r.Releaser = nil
	}
}

// methods by length, so that a standard method costs no allocation.
var methods = strings.Fields("GET HEAD POST PUT DELETE PATCH OPTIONS TRACE CONNECT " +
	"PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH PURGE")

// Method returns b as a string: a constant for known methods, a copy otherwise.
func Method(b []byte) string {
	if len(b) == 3 && b[0] == 'G' && b[1] == 'E' && b[2] == 'T' {
		return "GET"
	}
	for _, m := range methods {
		if string(b) == m {
			return m
		}
	}
	return string(b)
}
