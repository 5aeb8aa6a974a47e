package identity

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/internal/nettest"
)

func certificate(t testing.TB, pair tls.Certificate) *Certificate {
	t.Helper()
	c, err := NewCertificate(pair)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func policy(t testing.TB, s *Store, name string, o dynamic.TLSOptions, authorities ...[]byte) *Policy {
	t.Helper()
	p, err := s.NewPolicy(name, &o, authorities)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// outcome is what both sides know of a connection.
type outcome struct {
	client, server       tls.ConnectionState
	clientErr, serverErr error
	session              *Session
}

// shake makes a handshake, and has a byte cross so that tickets arrive.
func shake(t testing.TB, server, client *tls.Config) outcome {
	t.Helper()
	near, far := nettest.Pair(t) // a pipe has no buffer, and both sides may write at once
	return shakeOver(t, near, far, server, client)
}

// shakeOver is shake over a connection.
func shakeOver(t testing.TB, near, far net.Conn, server, client *tls.Config) outcome {
	t.Helper()
	var o outcome
	ctx, session := NewSession(t.Context())
	o.session = session
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer far.Close()
		c := tls.Server(far, server)
		if o.serverErr = c.HandshakeContext(ctx); o.serverErr == nil {
			o.server = c.ConnectionState()
			_, o.serverErr = c.Write([]byte("x"))
		}
	}()
	c := tls.Client(near, client)
	if o.clientErr = c.Handshake(); o.clientErr == nil {
		if _, o.clientErr = c.Read(make([]byte, 1)); o.clientErr == nil {
			o.client = c.ConnectionState()
		}
	}
	near.Close()
	<-served
	return o
}

// at is the configuration of handshakes at an edge.
func at(s *Store, edge *Edge) *tls.Config { return s.Config(func() *Edge { return edge }) }

// bound is an edge at which hosts are bound to policies, and others to fallback.
func bound(fallback *Policy, hosts map[string]*Policy) *Edge {
	return &Edge{Hosts: Hosts{}.With(hosts), Fallback: fallback, Open: true}
}
