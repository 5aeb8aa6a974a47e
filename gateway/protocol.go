package gateway

import (
	"bytes"
	"context"
	"crypto/tls"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// Protocol serves the connections that speak it. h1.Server is one.
type Protocol interface {
	// Serve owns conn, of which some may have been read already (Ahead), until it ends; then it closes
	// it and calls done. It may return before that.
	Serve(conn *listen.Conn, info *exchange.Conn, done func())
	ender
}

// ender is a server that can be brought to its end.
type ender interface {
	// Drain lets connections finish what they are doing, and returns when none is left or ctx ends.
	Drain(ctx context.Context) error
	// Kill cuts what is left, and waits for it.
	Kill(ctx context.Context) error
}

// Relay takes connections away from HTTP: the layer 4 routers of an entry point. Its methods are called
// once for a connection at most, before anybody has read from it for good: what they return finds all
// bytes from the first on Ahead. nil leaves the connection to whoever comes next.
type Relay interface {
	// Greeting is what a client is told before it has said anything; nil for nothing. A relay that greets
	// leaves no connection to others.
	Greeting() []byte
	// Accepted is asked before the client has said anything, for protocols in which the server speaks
	// first.
	Accepted(info *exchange.Conn) Protocol
	// Greeted is asked once the first byte is there. It may read on, with conn.Sniff, what it needs to
	// decide: a whole ClientHello for its server name. One deadline bounds all that comes before a
	// request; a Sniff that it ends fails. The error may be a *relay.Refusal.
	Greeted(conn *listen.Conn, info *exchange.Conn) (Protocol, error)
	ender
}

// protocols is what an entry point speaks. A connection comes to one of them by what it says, in this
// order:
//
//  1. the relay, asked before anything is read. Where it greets clients it is all there is
//  2. the relay, asked when there is a first byte
//  3. a first byte 0x16 begins a ClientHello: TLS is terminated, and ALPN names the protocol in secure;
//     a client that names none speaks HTTP/1.1
//  4. the preface of a protocol in plain
//  5. HTTP/1.1
//
// What a client does to be taken for another protocol than it speaks only ever makes its own messages
// unintelligible: each protocol refuses what it does not understand.
type protocols struct {
	relay  Relay                                 // nil: none
	tls    func(info *exchange.Conn) *tls.Config // nil: TLS is not spoken
	secure map[string]Protocol                   // by ALPN; "" when none was agreed on
	plain  []preface                             // the last has no preface, and takes everything
}

// preface is how the connections of a plaintext protocol begin.
type preface struct {
	bytes    []byte
	protocol Protocol
}

// all are all protocols, each once.
func (p *protocols) all() (all []ender) {
	for _, s := range p.secure {
		all = append(all, s)
	}
	for _, s := range p.plain {
		all = append(all, s.protocol)
	}
	return distinct(all)
}

func distinct(list []ender) (out []ender) {
	seen := map[ender]bool{}
	for _, p := range list {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}

// handshakeRecord is the first byte of a ClientHello. RFC 8446 §5.1. No method of HTTP begins with it.
const handshakeRecord = 0x16

// plaintext returns the protocol that first begins; nil when that cannot be told yet.
func (p *protocols) plaintext(first []byte) Protocol {
	for _, q := range p.plain {
		n := min(len(first), len(q.bytes))
		if !bytes.Equal(first[:n], q.bytes[:n]) {
			continue
		}
		if n < len(q.bytes) {
			return nil
		}
		return q.protocol
	}
	return nil
}
