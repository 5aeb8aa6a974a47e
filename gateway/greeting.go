package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/relay"
)

// greeting is a connection of which it is not settled yet what is spoken on it. Its one deadline runs
// from when it was accepted until it is served, the PROXY header and the handshake of TLS included.
type greeting struct {
	e     *EntryPoint
	conn  *listen.Conn
	info  *exchange.Conn
	began int64
	said  atomic.Bool // something has arrived
	cut   atomic.Bool // the sweeper has ended it
}

// drainSilent is how long a draining entry point waits for a connection that has said nothing yet.
const drainSilent = time.Second

// Sweep is the greeting's timer.
func (g *greeting) Sweep(now int64) {
	e, age := g.e, time.Duration(now-g.began)
	limit := time.Duration(e.config.Transport.RespondingTimeouts.HeaderTimeout)
	if limit > 0 && age > limit || e.killed.Load() || e.draining.Load() && !g.said.Load() && age > drainSilent {
		g.cut.Store(true)
		g.conn.Interrupt()
		g.conn.InterruptWrite()
	}
}

// A refusal is why a greeting came to nothing, by the name of its rule. Without a rule it is nobody's
// fault.
type refusal struct {
	rule  string
	err   error
	hello *identity.Session // of a handshake of TLS that failed, which the client was told by an alert
}

// settle finds out what is spoken, and with whom.
func (g *greeting) settle() (Protocol, *refusal) {
	ticket := g.e.greetings.Add(g)
	p, r := g.greet()
	g.e.greetings.Remove(ticket)
	if g.cut.Load() {
		p, r = nil, &refusal{err: errors.New("it was not settled in time what is spoken")}
		if g.said.Load() && !g.e.killed.Load() {
			r.rule = "greeting_timeout"
		}
	}
	return p, r
}

func (g *greeting) greet() (Protocol, *refusal) {
	e := g.e
	if e.proxy != nil {
		rest, err := e.proxy.read(g.conn.Net(), g.info)
		if err == errNothing {
			return nil, &refusal{err: err}
		}
		if g.said.Store(true); err != nil {
			return nil, &refusal{rule: "proxy_protocol", err: err}
		}
		g.conn.Unread(rest)
	}
	g.info.PeerText = g.info.Peer.Addr().String()
	if e.speaks.relay != nil {
		if p := e.speaks.relay.Accepted(g.info); p != nil {
			return p, nil
		}
		if greeting := e.speaks.relay.Greeting(); greeting != nil {
			return g.greeted(greeting)
		}
	}
	var p Protocol
	secure := false
	err := g.conn.Sniff(func(first []byte) bool {
		g.said.Store(true)
		secure = first[0] == handshakeRecord && e.speaks.tls != nil
		p = e.speaks.plaintext(first)
		return secure || p != nil
	})
	if err != nil && !(err == io.ErrUnexpectedEOF && g.conn.Ahead()) {
		return nil, &refusal{err: err}
	}
	if e.speaks.relay != nil {
		if q, r := g.relayed(); q != nil || r != nil {
			return q, r
		}
	}
	if secure {
		return g.handshake()
	}
	if p == nil { // it ended in the middle of a preface
		p = e.speaks.plain[len(e.speaks.plain)-1].protocol
	}
	return p, nil
}

// greeted greets the client, and has the relay find out the rest.
func (g *greeting) greeted(greeting []byte) (Protocol, *refusal) {
	if err := g.conn.Write(greeting); err != nil {
		return nil, &refusal{err: err}
	}
	err := g.conn.Sniff(func([]byte) bool {
		g.said.Store(true)
		return true
	})
	if err != nil {
		return nil, &refusal{err: err}
	}
	return g.relayed()
}

// relayed asks the relay, of a client that has begun to speak.
func (g *greeting) relayed() (Protocol, *refusal) {
	p, err := g.e.speaks.relay.Greeted(g.conn, g.info)
	if err == nil {
		return p, nil
	}
	var named *relay.Refusal
	if errors.As(err, &named) {
		return nil, &refusal{rule: named.Rule, err: named.Err}
	}
	return nil, &refusal{rule: "greeting", err: err}
}

// handshake terminates TLS.
func (g *greeting) handshake() (Protocol, *refusal) {
	ctx, session := identity.NewSession(context.Background())
	t := tls.Server(g.conn.Wire(), g.e.speaks.tls(g.info))
	if err := t.HandshakeContext(ctx); err != nil {
		if reason := session.Err(); reason != nil {
			return nil, &refusal{"tls_refused", reason, session}
		}
		return nil, &refusal{handshakeRule(err), err, session}
	}
	g.conn = listen.NewConn(t, nil)
	state := t.ConnectionState()
	g.info.TLS, g.info.Session = &state, session
	p := g.e.speaks.secure[state.NegotiatedProtocol]
	switch {
	case state.NegotiatedProtocol == challengeProtocol:
		return nil, &refusal{err: errors.New("the handshake was all that an ACME authority wanted")}
	case p == nil:
		return nil, &refusal{rule: "tls_protocol", err: errors.New("nothing here speaks " + state.NegotiatedProtocol)}
	}
	return p, nil
}

// challengeProtocol is agreed on with those who verify a name. RFC 8737 §6.2.
const challengeProtocol = "acme-tls/1"

// handshakeRule names what was wrong with a handshake.
func handshakeRule(err error) string {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &certificate):
		return "tls_client_certificate"
	case errors.As(err, &record):
		return "tls_record"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "tls_abandoned"
	}
	return "tls_handshake"
}

// serve greets a connection and has it served by whoever speaks what it speaks.
func (g *greeting) serve(done func()) {
	g.began = clock.Now()
	p, r := g.settle()
	if r == nil {
		p.Serve(g.conn, g.info, done)
		return
	}
	if r.hello != nil {
		// In TLS 1.3 a client may have sent its request before it hears that its certificate is missing.
		g.conn.Linger()
	}
	g.conn.Close()
	defer done() // whoever waits for the last connection finds its refusal counted
	if r.rule == "" {
		return
	}
	if r.rule == "proxy_protocol" { // a load balancer and a gateway that misunderstand each other
		g.e.listener.Refused(r.rule, g.info.Peer, "error", r.err)
		return
	}
	g.e.refused(r.rule)
	attributes := []any{"rule", r.rule, "peer", g.info.PeerText, "error", r.err}
	if r.hello != nil && r.hello.Policy() != nil {
		attributes = append(attributes, "serverName", r.hello.ServerName(), "options", r.hello.Policy().Name())
	}
	g.e.logger.Debug("connection refused", attributes...)
}
