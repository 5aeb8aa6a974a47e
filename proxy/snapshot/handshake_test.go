package snapshot

import (
	"crypto/tls"
	"testing"

	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/internal/nettest"
)

// connection is what both sides know of one.
type connection struct {
	client, server       tls.ConnectionState
	clientErr, serverErr error
	session              *identity.Session
}

// connect makes a handshake at an entry point.
func (f *fixture) connect(t testing.TB, entryPoint string, client *tls.Config) connection {
	t.Helper()
	var c connection
	near, far := nettest.Pair(t) // a pipe has no buffer, and both sides may write at once
	defer near.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer far.Close()
		ctx, session := identity.NewSession(t.Context())
		server := tls.Server(far, f.live.ConfigFor(entryPoint))
		c.serverErr, c.session = server.HandshakeContext(ctx), session
		c.server = server.ConnectionState()
		if c.serverErr == nil {
			server.Write([]byte("x"))
		}
	}()
	conn := tls.Client(near, client)
	if c.clientErr = conn.Handshake(); c.clientErr == nil {
		conn.Read(make([]byte, 1)) // the tickets come with it
		c.client = conn.ConnectionState()
	}
	near.Close()
	<-served
	return c
}
