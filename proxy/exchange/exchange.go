package exchange

import (
	"context"
	"crypto/tls"
	"io"
	"net/netip"
)

// Handler answers an exchange.
//
// It returns nil once x.Response has a complete head; x.Response.Body then streams, pulled by the
// caller. It returns an error (a Kind, or one that wraps it) when there is no response; what
// x.Response holds is then void. It must not keep x, nor any memory of it, after it returned,
// except inside the response body it left behind.
type Handler interface {
	Handle(x *Exchange) error
}

// HandlerFunc lets an ordinary function be a Handler.
type HandlerFunc func(x *Exchange) error

// Handle calls f.
func (f HandlerFunc) Handle(x *Exchange) error { return f(x) }

// Middleware wraps the next handler. It does not care what runs before or after it.
type Middleware func(next Handler) Handler

// Chain wraps h so that the first middleware sees the request first.
func Chain(h Handler, middlewares ...Middleware) Handler {
	for i := len(middlewares) - 1; i >= 0; i-- {
		h = middlewares[i](h)
	}
	return h
}

// Exchange is one request and, once known, its response. It is pooled: keep nothing of it.
type Exchange struct {
	Request  Request
	Response Response
	// Conn is what is known of the client's connection, the same for all its exchanges. Read only.
	Conn *Conn
	// Client is the address of the client by the one trusted-hop resolver of the entry point: the
	// peer, or what trusted proxies said. Logs, limits, rules and balancers use this one.
	Client netip.Addr
	// Record is what logs, metrics and traces will be told of this exchange.
	Record Record
	// Life ends when the client goes away. Never nil while a handler runs.
	Life *Life

	// Informer sends interim (1xx) responses to the client; nil where there is no way to.
	Informer Informer

	canned Bytes // the body of Respond, here so that a canned answer allocates nothing
	owned  []Freer
}

// Freer is memory that an exchange borrowed.
type Freer interface{ Free() }

// Own makes f's memory live until the exchange has ended and been observed: header fields of a
// response that was given up may still be read by the access log.
func (x *Exchange) Own(f Freer) { x.owned = append(x.owned, f) }

// Free gives back all that the exchange owns. Whoever made the exchange calls it last, after
// Response.Close and all observers; neither x's header fields nor its bodies may be used any more.
func (x *Exchange) Free() {
	for i, f := range x.owned {
		f.Free()
		x.owned[i] = nil
	}
	x.owned = x.owned[:0]
}

// Conn is what is known of a client's connection.
type Conn struct {
	// EntryPoint is the name of the entry point that accepted the connection.
	EntryPoint string
	// Peer and Local are the addresses of the connection, or those a PROXY protocol header gave.
	Peer, Local netip.AddrPort
	// PeerText is Peer's address without the port, as text.
	PeerText string
	// TLS is the state of the connection's handshake; nil on plaintext.
	TLS *tls.ConnectionState
	// Session is what the handshake was made under, an *identity.Session; nil on plaintext. Requests over
	// TLS without one are not admitted.
	Session any
	// Shard spreads contention: counters and pools take their shard by it. Any value is right.
	Shard uint32
}

// Informer passes interim responses on. RFC 9110 §15.2.
type Informer interface {
	// Inform sends a 1xx status with a header block to the client at once. A client that cannot
	// understand it (HTTP/1.0) is spared it.
	Inform(status int, h *Header) error
}

// Reset makes x fresh for a new exchange on conn. Buffers the exchange has grown are kept.
func (x *Exchange) Reset(conn *Conn, life *Life, informer Informer) {
	x.Request.reset()
	x.Response.reset()
	x.Conn, x.Life, x.Informer = conn, life, informer
	x.Client = conn.Peer.Addr()
	x.Record = Record{}
	x.canned.left = nil
}

// ResetResponse gives up the response: it closes the body and tunnel and clears the head, so that
// another attempt can be made.
func (x *Exchange) ResetResponse() {
	x.Response.Close()
	x.Response.reset()
}

// Respond replaces the response with a complete one. The body is not copied; contentType may be
// empty when there is no body. It allocates nothing.
func (x *Exchange) Respond(status int, contentType string, body []byte) {
	x.ResetResponse()
	x.Response.Status = status
	if contentType != "" {
		x.Response.Header.Add(ContentType, contentType)
	}
	x.Response.Length = int64(len(body))
	if len(body) > 0 {
		x.canned = Bytes{left: body}
		x.Response.Body = &x.canned
	}
}

// Context returns a context that ends when the client goes away, for code that wants one.
// It allocates.
func (x *Exchange) Context() context.Context { return x.Life.Context() }

// Tunnel is the far half of an upgraded connection: what is written goes to the server, what is
// read comes from it. CloseWrite ends one direction; Close ends both. Each of Read and Write may
// be called by one goroutine at a time. One that need not wait with a buffer is a Yielder.
type Tunnel interface {
	io.ReadWriteCloser
	CloseWrite() error
}
