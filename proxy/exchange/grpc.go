package exchange

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
)

// The status of a gRPC call and its text, which end a response: in its trailer or, when it has no body, in
// its header. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
var (
	GRPCStatus  = NewName("Grpc-Status")
	GRPCMessage = NewName("Grpc-Message")
)

// CallKind is how a message speaks gRPC.
type CallKind uint8

// The kinds of calls.
const (
	NoCall      CallKind = iota
	GRPC                 // application/grpc
	GRPCWeb              // application/grpc-web: trailers are the last frame of the body
	GRPCWebText          // application/grpc-web-text: and all of it is base64
)

var callTypes = [...]string{GRPC: "application/grpc", GRPCWeb: "application/grpc-web", GRPCWebText: "application/grpc-web-text"}

// Type is the content type of the kind, without a suffix.
func (k CallKind) Type() string { return callTypes[k] }

// CallOf is the kind of call that the content type in h means, and the suffix, such as "+proto", that it has.
func CallOf(h *Header) (k CallKind, suffix []byte) {
	t := h.Get(ContentType)
	for k := GRPCWebText; k > NoCall; k-- {
		n := len(callTypes[k])
		if len(t) >= n && EqualFold(t[:n], callTypes[k]) && (len(t) == n || t[n] == '+' || t[n] == ';') {
			return k, t[n:]
		}
	}
	return NoCall, nil
}

// IsGRPC reports whether the content type in h is gRPC's, and not gRPC-Web's or another.
func IsGRPC(h *Header) bool {
	k, _ := CallOf(h)
	return k == GRPC
}

// The codes of gRPC that failures of ours have.
// https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
const (
	grpcCancelled         = 1
	grpcUnknown           = 2
	grpcDeadlineExceeded  = 4
	grpcPermissionDenied  = 7
	grpcResourceExhausted = 8
	grpcUnimplemented     = 12
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcUnauthenticated   = 16
)

// grpcCodes are the codes of the kinds. Those that may go away when the call is repeated are unavailable.
var grpcCodes = [len(kinds)]uint8{
	Internal: grpcInternal, BadRequest: grpcInternal, HeaderTooLarge: grpcResourceExhausted,
	TargetTooLong: grpcResourceExhausted, BodyTooLarge: grpcResourceExhausted, ClientTimeout: grpcCancelled,
	ClientAbort: grpcCancelled, Forbidden: grpcPermissionDenied,
	NotFound: grpcUnimplemented, Misdirected: grpcUnavailable, TooManyRequests: grpcUnavailable,
	VersionUnknown: grpcUnimplemented, MethodUnknown: grpcUnimplemented,
	ExpectUnknown: grpcUnimplemented,
	NoEndpoint:    grpcUnavailable, DialFailed: grpcUnavailable, DialTimeout: grpcUnavailable,
	UpstreamTimeout: grpcDeadlineExceeded, UpstreamReset: grpcUnavailable, UpstreamProtocol: grpcInternal,
	UpstreamTLS: grpcUnavailable, Overloaded: grpcUnavailable, Draining: grpcUnavailable,
}

var grpcTexts = func() (texts [17]string) {
	for code := range texts {
		texts[code] = strconv.Itoa(code)
	}
	return
}()

// GRPC is the code that a gRPC call that failed for this reason ends with.
func (k Kind) GRPC() int { return int(grpcCodes[k]) }

// grpcOf is the code that gRPC's clients make of an HTTP status.
// https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
func grpcOf(status int) int {
	switch status {
	case 400:
		return grpcInternal
	case 401:
		return grpcUnauthenticated
	case 403:
		return grpcPermissionDenied
	case 404:
		return grpcUnimplemented
	case 429, 502, 503, 504:
		return grpcUnavailable
	}
	return grpcUnknown
}

// respondGRPC makes the response that tells a client of gRPC or gRPC-Web of a failure, and reports whether it is
// one. With no message, the status is all there is. A page gets it in the body: its browser may keep the header
// from it.
func (x *Exchange) respondGRPC(code, status int) bool {
	kind, _ := CallOf(&x.Request.Header)
	if kind == NoCall {
		return false
	}
	message := percentEncode(string(StatusText(status)))
	if kind == GRPC {
		x.Respond(200, kind.Type(), nil)
		x.Response.Header.Add(GRPCStatus, grpcTexts[code])
		x.Response.Header.Add(GRPCMessage, message)
		return true
	}
	var trailer Header
	trailer.Add(GRPCStatus, grpcTexts[code])
	trailer.Add(GRPCMessage, message)
	frame := AppendGRPCWebTrailer(nil, &trailer)
	if kind == GRPCWebText {
		frame = base64.StdEncoding.AppendEncode(nil, frame)
	}
	x.Respond(200, kind.Type()+"+proto", frame)
	x.Response.Ended = EndedWith(&trailer)
	return true
}

// AppendGRPCWebTrailer appends a trailer section as the frame that gRPC-Web has for it.
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
func AppendGRPCWebTrailer(dst []byte, t *Header) []byte {
	at := len(dst)
	dst = append(dst, 0x80, 0, 0, 0, 0)
	for name, value := range t.All() {
		dst = append(dst, bytes.ToLower(name)...)
		dst = append(append(append(dst, ": "...), value...), "\r\n"...)
	}
	binary.BigEndian.PutUint32(dst[at+1:], uint32(len(dst)-at-5))
	return dst
}

// EndedWith is the gRPC status in h, plus one; 0 where there is none that is one.
func EndedWith(h *Header) uint8 {
	code, err := strconv.ParseUint(string(h.Get(GRPCStatus)), 10, 8)
	if err != nil || code >= uint64(len(grpcTexts)) {
		return 0
	}
	return uint8(code) + 1
}

// percentEncode writes text as Grpc-Message wants it.
func percentEncode(text string) string {
	plain := func(c byte) bool { return c >= ' ' && c <= '~' && c != '%' }
	i := 0
	for i < len(text) && plain(text[i]) {
		i++
	}
	if i == len(text) {
		return text
	}
	var b strings.Builder
	const hex = "0123456789ABCDEF"
	for i := range len(text) {
		if c := text[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
