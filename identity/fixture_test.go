package identity

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
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

// shake makes a handshake over loopback, and has a byte cross so that tickets arrive.
func shake(t testing.TB, server, client *tls.Config) outcome {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var o outcome
	served := make(chan struct{})
	go func() {
		defer close(served)
		raw, err := ln.Accept()
		if err != nil {
			o.serverErr = err
			return
		}
		defer raw.Close()
		raw.SetDeadline(time.Now().Add(10 * time.Second))
		c := tls.Server(raw, server)
		var ctx context.Context
		ctx, o.session = NewSession(t.Context())
		if o.serverErr = c.HandshakeContext(ctx); o.serverErr == nil {
			o.server = c.ConnectionState()
			_, o.serverErr = c.Write([]byte("x"))
		}
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	conn := tls.Client(c, client)
	if o.clientErr = conn.Handshake(); o.clientErr == nil {
		_, o.clientErr = conn.Read(make([]byte, 1))
		o.client = conn.ConnectionState()
	}
	<-served
	return o
}
