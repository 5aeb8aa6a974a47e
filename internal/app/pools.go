package app

import (
	"io"
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
	d, err := newDialer(u, key.Transport, "http/1.1")
	if err != nil {
		return broken{err}, broken{err}
	}
	t := key.Transport
	config := h1.PoolConfig{
		Dial: d.dial, DefaultHost: []byte(u.Host), DialTimeout: t.DialTimeout, HeadTimeout: t.ResponseHeaderTimeout,
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

// broken is a server that cannot be asked.
type broken struct{ err error }

// Handle fails with the reason.
func (b broken) Handle(*exchange.Exchange) error { return exchange.NoEndpoint.With(b.err) }

// Close is io.Closer.
func (b broken) Close() error { return nil }
