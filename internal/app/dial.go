package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// What is offered to servers in the TLS handshake. RFC 7301.
const (
	protoHTTP1 = "http/1.1"
	protoHTTP2 = "h2"
)

// dialFunc makes a connection to one server.
type dialFunc func(ctx context.Context) (net.Conn, error)

// dialer makes connections to one server.
type dialer struct {
	address string
	tls     *tls.Config // nil: plaintext
}

func newDialer(u *url.URL, t *upstream.Transport) (*dialer, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "h2c": "80", "https": "443"}[u.Scheme]
	}
	d := &dialer{address: net.JoinHostPort(u.Hostname(), port)}
	if u.Scheme != "https" {
		return d, nil
	}
	config, err := t.TLS.Config()
	if err != nil {
		return nil, err
	}
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	d.tls = config
	return d, nil
}

// offering returns what makes connections of d that offer protocols over TLS; on plaintext nobody is asked.
func (d *dialer) offering(protocols ...string) dialFunc {
	if d.tls == nil {
		return d.dial
	}
	config := d.tls.Clone()
	config.NextProtos = protocols
	return (&dialer{d.address, config}).dial
}

// dial makes a connection: of a https server a *tls.Conn, whose handshake is over and that
// listen.NewConn runs fused. A server that answers in plaintext has failed the handshake.
func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	plain := net.Dialer{Control: listen.Unpaced}
	c, err := plain.DialContext(ctx, "tcp", d.address)
	if err != nil || d.tls == nil {
		return c, err
	}
	t := tls.Client(listen.NewConn(c, nil).Wire(), d.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, exchange.UpstreamTLS.With(fmt.Errorf("TLS handshake with %s: %w", d.address, err))
	}
	return t, nil
}
