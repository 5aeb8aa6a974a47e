package exchange

import (
	"strconv"
	"strings"
)

// The status of a gRPC call and its text, which end a response: in its trailer or, when it has no body, in
// its header. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
var (
	GRPCStatus  = NewName("Grpc-Status")
	GRPCMessage = NewName("Grpc-Message")
)

const grpcType = "application/grpc"

// IsGRPC reports whether the content type in h is gRPC's, and not gRPC-Web's or another.
func IsGRPC(h *Header) bool {
	t := h.Get(ContentType)
	n := len(grpcType)
	return len(t) >= n && EqualFold(t[:n], grpcType) && (len(t) == n || t[n] == '+' || t[n] == ';')
}

// The codes of gRPC that failures of ours have.
// https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
const (
	grpcCancelled         = 1
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
	ClientAbort: grpcCancelled, Unauthorized: grpcUnauthenticated, Forbidden: grpcPermissionDenied,
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

// respondGRPC makes the response that tells a gRPC client of a failure: with no message, the status is all
// there is.
func (x *Exchange) respondGRPC(k Kind) {
	x.Respond(200, grpcType, nil)
	x.Response.Header.Add(GRPCStatus, grpcTexts[k.GRPC()])
	x.Response.Header.Add(GRPCMessage, percentEncode(string(StatusText(k.Status()))))
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
