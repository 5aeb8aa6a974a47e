package fields

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

var (
	webSocketKey     = exchange.NewName("Sec-WebSocket-Key")
	webSocketAccept  = exchange.NewName("Sec-WebSocket-Accept")
	webSocketVersion = exchange.NewName("Sec-WebSocket-Version")
)

// Change is a request of HTTP/2 or HTTP/3 to change protocol (an extended CONNECT), as it goes on as one
// of HTTP/1.1. A WebSocket is then asked for with a key, of which its client knows nothing.
// RFC 8441 §5, RFC 9220.
type Change struct{ key [24]byte }

// Offer makes r, whose Upgrade is set, one that HTTP/1.1 knows.
func (c *Change) Offer(r *exchange.Request) {
	if !exchange.EqualFold(r.Upgrade, "websocket") {
		return
	}
	var nonce [16]byte
	rand.Read(nonce[:])
	base64.StdEncoding.Encode(c.key[:], nonce[:])
	r.Header.SetBytes(webSocketKey, c.key[:])
	if !r.Header.Has(webSocketVersion) {
		r.Header.Set(webSocketVersion, "13")
	}
}

// Check says why the response that a handler has left cannot be sent; nil if it can. It is for every
// response of these protocols, and takes out of it what only HTTP/1.1 says of a change.
func (c *Change) Check(x *exchange.Exchange) error {
	p, upgrade := &x.Response, x.Request.Upgrade != nil
	switch {
	case p.Tunnel != nil && !upgrade:
		return exchange.Internal.Withf("a change of protocol that the client did not ask for")
	case p.Tunnel != nil && !c.accepted(x):
		return exchange.UpstreamProtocol.Withf("the server accepted a WebSocket without knowing its key")
	case p.Tunnel == nil && (p.Status < 200 || p.Status > 999):
		return exchange.Internal.Withf("the handler left a response with status %d", p.Status)
	case p.Tunnel == nil && upgrade && p.Status < 300:
		// To the client it would mean that the protocol has changed. RFC 8441 §4.
		return exchange.UpstreamProtocol.Withf("the server answered %d to a request to change protocol", p.Status)
	}
	if p.Tunnel != nil {
		p.Header.Del(webSocketAccept)
	}
	return nil
}

// accepted reports whether a server that speaks HTTP/1.1 has answered our key. RFC 6455 §4.2.2.
func (c *Change) accepted(x *exchange.Exchange) bool {
	p := &x.Response
	if p.Proto == exchange.HTTP2 || p.Proto == exchange.HTTP3 || !exchange.EqualFold(x.Request.Upgrade, "websocket") {
		return true
	}
	return string(p.Header.Get(webSocketAccept)) == accept(c.key[:])
}

// accept is what a server answers a key with. RFC 6455 §4.2.2.
func accept(key []byte) string {
	sum := sha1.Sum(append(key[:len(key):len(key)], "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// WithdrawKey takes the key out of a request for a WebSocket that goes on as an extended CONNECT, which has
// none, and returns a copy; nil when there is none.
func WithdrawKey(r *exchange.Request) []byte {
	key := bytes.Clone(r.Header.Get(webSocketKey))
	r.Header.Del(webSocketKey)
	return key
}

// RestoreKey puts a key that was withdrawn back.
func RestoreKey(r *exchange.Request, key []byte) {
	if key != nil {
		r.Header.SetBytes(webSocketKey, key)
	}
}

// Answer makes p, which accepts an extended CONNECT, the answer to x's request as HTTP/1.1 has it.
func Answer(x *exchange.Exchange, t exchange.Tunnel) {
	p := &x.Response
	p.Status, p.Tunnel, p.Upgrade, p.Length = 101, t, x.Request.Upgrade, -1
	if key := x.Request.Header.Get(webSocketKey); key != nil {
		p.Header.Set(webSocketAccept, accept(key))
	}
}
