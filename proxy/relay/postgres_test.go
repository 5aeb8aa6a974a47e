package relay_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/relay"
)

var (
	sslRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}
	gssRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30}
)

// named is terminating for those who name Postgres in ALPN.
func named() func() *tls.Config {
	config := terminating()().Clone()
	config.NextProtos = []string{"postgresql"}
	return func() *tls.Config { return config }
}

// A client may begin with TLS at once. The server is asked for it all the same, as it may know no other way;
// one that gets plaintext, or the client's own TLS, is not.
func TestPostgresDirect(t *testing.T) {
	database := serve(t, func(c *net.TCPConn) {
		got := make([]byte, len(sslRequest))
		io.ReadFull(c, got)
		if !bytes.Equal(got, sslRequest) {
			t.Errorf("the server was asked %x", got)
			return
		}
		c.Write([]byte{'S'})
		s := tls.Server(c, terminating()())
		io.Copy(s, s)
		s.Close()
	})
	secure := serve(t, func(c *net.TCPConn) {
		s := tls.Server(c, named()())
		io.Copy(s, s)
		s.Close()
	})
	e := newEdge(t, &routes{secure: map[string]*relay.Route{
		"pass.example": {Service: &backend{address: secure}},
		"term.example": {Service: &backend{address: serve(t, echo)}, TLS: named()},
		"both.example": {Service: &backend{address: database, tls: &tls.Config{InsecureSkipVerify: true}}, TLS: named()},
	}})
	for _, name := range []string{"pass.example", "term.example", "both.example"} {
		raw := e.dial(t)
		c := tls.Client(raw, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"postgresql"}})
		io.WriteString(c, "startup")
		c.CloseWrite()
		if got, err := io.ReadAll(c); err != nil || string(got) != "startup" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		raw.Close()
		if how := e.log.wait(t); how != "well" {
			t.Errorf("%s: %s", name, how)
		}
	}
}

// A client that has a ticket of Kerberos asks for that first, and is told to go on with TLS, but where a
// router without TLS takes it: its server may do it.
func TestPostgresWithKerberos(t *testing.T) {
	secure := map[string]*relay.Route{"term.example": {Service: &backend{address: serve(t, echo)}, TLS: terminating()}}
	e := newEdge(t, &routes{secure: secure})
	raw := e.dial(t)
	ask := func(request []byte) string {
		raw.Write(request[:5])
		raw.Write(request[5:])
		answer := make([]byte, 1)
		if _, err := io.ReadFull(raw, answer); err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	if got := ask(gssRequest) + ask(sslRequest); got != "NS" {
		t.Fatal(got)
	}
	c := tls.Client(raw, &tls.Config{ServerName: "term.example", InsecureSkipVerify: true})
	io.WriteString(c, "startup")
	c.CloseWrite()
	if got, err := io.ReadAll(c); err != nil || string(got) != "startup" {
		t.Errorf("%q, %v", got, err)
	}
	early := e.dial(t)
	early.Write(append(bytes.Clone(gssRequest), sslRequest...))
	if err := <-e.refused; err == nil {
		t.Error("more than a request was taken")
	}

	e = newEdge(t, &routes{secure: secure, plain: &relay.Route{Service: &backend{address: serve(t, echo)}}})
	raw = e.dial(t)
	raw.Write(gssRequest)
	raw.CloseWrite()
	if got, err := io.ReadAll(raw); err != nil || !bytes.Equal(got, gssRequest) {
		t.Errorf("the server is asked %x, %v", got, err)
	}
}
