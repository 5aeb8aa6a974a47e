package app

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h1"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// pools opens pools of HTTP/1.1 connections to servers.
type pools struct{}

var _ upstream.Pools = pools{}

// Pool is upstream.Pools. A key that cannot be used makes a pool whose every request fails with the
// reason: the registry has checked URLs and TLS settings before.
func (pools) Pool(key upstream.PoolKey) (exchange.Handler, io.Closer) {
	u, err := url.Parse(key.URL)
	if err != nil {
		return broken{err}, broken{err}
	}
	dial, err := dialer(u, key.Transport)
	if err != nil {
		return broken{err}, broken{err}
	}
	t := key.Transport
	config := h1.PoolConfig{
		Dial: dial, DefaultHost: []byte(u.Host), DialTimeout: t.DialTimeout, HeadTimeout: t.ResponseHeaderTimeout,
		SendTimeout: stall, IdleTimeout: t.IdleTimeout, MaxIdle: maxIdle(t.MaxIdle), MaxConns: t.MaxConns,
	}
	if !key.PassHost {
		config.Host = []byte(u.Host)
	}
	if path := u.EscapedPath(); key.PreservePath && path != "" && path != "/" {
		config.Prefix = []byte(path)
	}
	p := h1.NewPool(config)
	return p, p
}

// maxIdle is how many unused connections are kept: none stated is the default, not no limit.
func maxIdle(stated int) int {
	if stated == 0 {
		return upstream.DefaultMaxIdle
	}
	return stated
}

// stall is how long a server may take none of a request's body.
const stall = 60 * time.Second

// dialer returns how to make a connection to u.
func dialer(u *url.URL, t *upstream.Transport) (func(context.Context) (net.Conn, error), error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	address := net.JoinHostPort(u.Hostname(), port)
	if u.Scheme != "https" {
		return func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		}, nil
	}
	config, err := t.TLS.Config()
	if err != nil {
		return nil, err
	}
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	config.NextProtos = []string{"http/1.1"}
	d := &tls.Dialer{Config: config}
	return func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }, nil
}

// broken is a server that cannot be asked.
type broken struct{ err error }

// Handle fails with the reason.
func (b broken) Handle(*exchange.Exchange) error { return exchange.NoEndpoint.With(b.err) }

// Close is io.Closer.
func (b broken) Close() error { return nil }
