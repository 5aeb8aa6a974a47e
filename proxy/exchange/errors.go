package exchange

import (
	"errors"
	"fmt"
)

// Kind is why an exchange has no response of its own. It is an error by itself; With adds a cause.
// Rescue maps each kind to what the client, the metrics and the log are told.
type Kind uint8

// The kinds, by who is at fault.
const (
	Internal Kind = iota // a fault of ours

	// The client's.
	BadRequest      // ambiguous or malformed: the connection cannot go on
	HeaderTooLarge  // header block, field count or target over the limit
	TargetTooLong   // request target over the limit
	BodyTooLarge    // body over a middleware's or entry point's limit
	ClientTimeout   // the client did not send its request in time
	ClientAbort     // the client went away
	Forbidden       // refused by policy
	NotFound        // no router matches
	Misdirected     // SNI and Host disagree
	TooManyRequests // a rate or concurrency limit
	VersionUnknown  // not a version of HTTP we speak
	MethodUnknown   // a method or transfer coding we do not implement
	ExpectUnknown   // the client expects what we do not do. RFC 9110 §10.1.1

	// The server's.
	NoEndpoint       // the service has no usable server
	DialFailed       // the connection was refused or failed
	DialTimeout      // the connection was not made in time
	UpstreamTimeout  // the server did not answer in time
	UpstreamReset    // the server closed or reset the connection before a complete head
	UpstreamProtocol // the server's answer is malformed or ambiguous
	UpstreamTLS      // the server's certificate or handshake failed
	Overloaded       // shed to protect ourselves
	Draining         // shutting down
)

type kindInfo struct {
	label  string // metric label and log field
	status int    // HTTP status
	reset  uint32 // HTTP/2 and HTTP/3 have codes of their own for aborted streams; RFC 9113 §7
}

const (
	h2Internal = 0x2
	h2Refused  = 0x7
	h2Cancel   = 0x8
	h2Calm     = 0xb
)

var kinds = [...]kindInfo{
	Internal:         {"internal", 500, h2Internal},
	BadRequest:       {"bad_request", 400, 0x1},
	HeaderTooLarge:   {"header_too_large", 431, h2Calm},
	TargetTooLong:    {"target_too_long", 414, h2Calm},
	BodyTooLarge:     {"body_too_large", 413, h2Cancel},
	ClientTimeout:    {"client_timeout", 408, h2Cancel},
	ClientAbort:      {"client_abort", 499, h2Cancel},
	Forbidden:        {"forbidden", 403, h2Cancel},
	NotFound:         {"not_found", 404, h2Cancel},
	Misdirected:      {"misdirected", 421, h2Cancel},
	TooManyRequests:  {"too_many_requests", 429, h2Calm},
	VersionUnknown:   {"version_unknown", 505, h2Cancel},
	MethodUnknown:    {"method_unknown", 501, h2Cancel},
	ExpectUnknown:    {"expect_unknown", 417, h2Cancel},
	NoEndpoint:       {"no_endpoint", 503, h2Refused},
	DialFailed:       {"dial_failed", 502, h2Refused},
	DialTimeout:      {"dial_timeout", 504, h2Refused},
	UpstreamTimeout:  {"upstream_timeout", 504, h2Cancel},
	UpstreamReset:    {"upstream_reset", 502, h2Internal},
	UpstreamProtocol: {"upstream_protocol", 502, h2Internal},
	UpstreamTLS:      {"upstream_tls", 502, h2Internal},
	Overloaded:       {"overloaded", 503, h2Refused},
	Draining:         {"draining", 503, h2Refused},
}

// Error is the kind's label, such as "no_endpoint".
func (k Kind) Error() string { return kinds[k].label }

// Status is the HTTP status the client is told.
func (k Kind) Status() int { return kinds[k].status }

// Reset is the HTTP/2 error code for a stream cut short for this reason. RFC 9113 §7.
func (k Kind) Reset() uint32 { return kinds[k].reset }

// With adds a cause to a kind; one that is of the kind already stays as it is. The cause goes to the log,
// never to the client.
func (k Kind) With(cause error) error {
	if e, ok := cause.(*Error); ok && e.Kind == k {
		return e
	}
	return &Error{Kind: k, Cause: cause}
}

// Withf is With of a formatted cause.
func (k Kind) Withf(format string, args ...any) error { return k.With(fmt.Errorf(format, args...)) }

// Error is a kind with its cause.
type Error struct {
	Kind  Kind
	Cause error
}

// Error gives label and cause.
func (e *Error) Error() string { return e.Kind.Error() + ": " + e.Cause.Error() }

// Unwrap makes errors.Is work with both the kind and the cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Cause} }

// KindOf is the kind inside err; Internal when it has none.
func KindOf(err error) Kind {
	switch e := err.(type) {
	case Kind:
		return e
	case *Error:
		return e.Kind
	}
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return Internal
}

// Rescue turns an error into the response the client gets: the status of its kind with the
// status's own text as body, or to gRPC and gRPC-Web the code of its kind. It is the one place where errors
// become answers. The cause is kept in the record for the log.
func Rescue(x *Exchange, err error) {
	k := KindOf(err)
	x.Record.Error, x.Record.Kind, x.Record.Failed = err, k, true
	status := k.Status()
	if !x.respondGRPC(k.GRPC(), status) {
		x.Respond(status, "text/plain; charset=utf-8", statusBody(status))
	}
}

// Refuse replaces the response with one of a handler's own that has a status and nothing more to say: the
// status's text as body, or to gRPC the code that its clients make of the status.
func (x *Exchange) Refuse(status int) {
	if !x.respondGRPC(grpcOf(status), status) {
		x.Respond(status, "text/plain; charset=utf-8", StatusText(status))
	}
}
