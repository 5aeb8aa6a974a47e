package telemetry

import (
	"bytes"
	"crypto/tls"
	"strconv"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// A key packs the labels code, method and protocol of an exchange into a number that is never 0.
// Each has few values, so that clients and servers cannot make series without end.
const (
	protocolBits = 3
	methodBits   = 4
	keyMark      = 1 << 20
)

func pack(code, method, protocol int) uint32 {
	return keyMark | uint32(code)<<(methodBits+protocolBits) | uint32(method)<<protocolBits | uint32(protocol)
}

func unpack(key uint32) (code, method, protocol int) {
	key &^= keyMark
	return int(key >> (methodBits + protocolBits)), int(key>>protocolBits) & (1<<methodBits - 1), int(key) & (1<<protocolBits - 1)
}

// The values of the label method; every other method is the first.
var methods = [...]string{
	"EXTENSION_METHOD", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PRI",
}

func methodIndex(method string) int {
	if method == "GET" {
		return 1
	}
	for i := 2; i < len(methods); i++ {
		if method == methods[i] {
			return i
		}
	}
	return 0
}

// The values of the label protocol.
const (
	protocolHTTP = iota
	protocolGRPC
	protocolGRPCWeb
	protocolSSE
	protocolWebSocket
)

var protocols = [...]string{"http", "grpc", "grpc-web", "sse", "websocket"}

const (
	grpc        = "application/grpc"
	grpcWeb     = "application/grpc-web"
	eventStream = "text/event-stream"
)

func protocolIndex(r *exchange.Request) int {
	if r.WebSocket() {
		return protocolWebSocket
	}
	if accept := r.Header.Get(exchange.Accept); len(accept) >= len(eventStream) &&
		bytes.IndexByte(accept, 'v') >= 0 && r.Header.Contains(exchange.Accept, eventStream) {
		return protocolSSE
	}
	if media := r.Header.Get(exchange.ContentType); len(media) >= len(grpc) && string(media[:len(grpc)]) == grpc {
		if len(media) >= len(grpcWeb) && string(media[:len(grpcWeb)]) == grpcWeb {
			return protocolGRPCWeb
		}
		return protocolGRPC
	}
	return protocolHTTP
}

// statusCode bounds a status: what is not one is 0.
func statusCode(code int) int {
	if code < 100 || code > 599 {
		return 0
	}
	return code
}

// grpcUnknown is the status of a call that ended without one.
const grpcUnknown = 2

// grpcCode is the gRPC status of a response, from its trailers or, when it has no body, its header, or what its
// body has told of it.
func grpcCode(r *exchange.Response) int {
	if r.Ended > 0 {
		return int(r.Ended) - 1
	}
	v := r.Trailer.Get(exchange.GRPCStatus)
	if v == nil {
		v = r.Header.Get(exchange.GRPCStatus)
	}
	switch {
	case len(v) == 1 && v[0] >= '0' && v[0] <= '9':
		return int(v[0] - '0')
	case len(v) == 2 && v[0] == '1' && v[1] >= '0' && v[1] <= '6':
		return 10 + int(v[1]-'0')
	}
	return grpcUnknown
}

// keyOf packs the labels of what the client asked and got.
func keyOf(x *exchange.Exchange) uint32 {
	protocol := protocolIndex(&x.Request)
	code := statusCode(x.Response.Status)
	if protocol == protocolGRPC || protocol == protocolGRPCWeb {
		code = grpcCode(&x.Response)
	}
	return pack(code, methodIndex(x.Request.Method), protocol)
}

func codeText(code int) string { return strconv.Itoa(code) }

// tlsKey packs the version and cipher suite of a connection.
func tlsKey(s *tls.ConnectionState) uint32 { return uint32(s.Version)<<16 | uint32(s.CipherSuite) }

// TLSVersion is the version of TLS as logs and labels have it.
func TLSVersion(version uint16) string {
	switch version {
	case tls.VersionTLS10:
		return "1.0"
	case tls.VersionTLS11:
		return "1.1"
	case tls.VersionTLS12:
		return "1.2"
	case tls.VersionTLS13:
		return "1.3"
	}
	return "unknown"
}
