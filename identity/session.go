package identity

import (
	"context"
	"crypto/tls"
	"sync/atomic"
)

// Session is what a connection was made under. Whoever makes handshakes makes one for each and keeps it
// with the connection. It is safe for concurrent use once the handshake is over.
type Session struct {
	policy *Policy // nil until the handshake has got so far
	name   string  // that the client asked for, in normal form
	err    error
	last   atomic.Pointer[verdict]
}

// verdict is what was found of a session at an edge, for a host.
type verdict struct {
	edge   *Edge
	host   string
	policy *Policy // nil: not admitted
}

type sessionKey struct{}

// NewSession returns a session, and the context that a handshake must run in to fill it in.
func NewSession(ctx context.Context) (context.Context, *Session) {
	s := &Session{}
	return context.WithValue(ctx, sessionKey{}, s), s
}

// sessionOf returns the session of a handshake; one that is lost when nobody asked for it.
func sessionOf(hello *tls.ClientHelloInfo) *Session {
	if s, ok := hello.Context().Value(sessionKey{}).(*Session); ok {
		return s
	}
	return &Session{}
}

// Err is why the handshake was refused, if it was this package that refused it.
func (s *Session) Err() error { return s.err }

// Policy is the policy that the handshake was made under; nil if it never got so far.
func (s *Session) Policy() *Policy { return s.policy }

// ServerName is the name that the client asked for, in normal form; empty if it asked for none, or the
// handshake never got so far.
func (s *Session) ServerName() string { return s.name }

// Admit returns the policy that requests for a host come under at edge, and nil when they must not be
// answered on this connection: the host is bound to another policy than the one it was made under, or to
// a later version of it that the connection does not satisfy. RFC 9110 §15.5.20.
//
// host has neither port nor brackets. A nil session is never admitted. Asking again for the same host
// costs no memory.
func (s *Session) Admit(edge *Edge, state *tls.ConnectionState, host []byte) *Policy {
	if s == nil || s.policy == nil {
		return nil
	}
	if v := s.last.Load(); v != nil && v.edge == edge && v.host == string(host) {
		return v.policy
	}
	v := &verdict{edge: edge, host: string(host)}
	if name, ok := Normalize(v.host); ok {
		if p, _ := edge.policy(name); p == s.policy && p.err == nil || p.name == s.policy.name && p.holds(state) {
			v.policy = p
		}
	}
	s.last.Store(v)
	return v.policy
}
