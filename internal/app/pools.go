package app

import (
	"io"
	"net/url"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h1"
	"github.com/pergola-mesh/pergola/proxy/h2"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// pools opens pools of connections to servers: of HTTP/1.1 where the URL says http, of HTTP/2 where it
// says h2c, and of what the server chooses where it says https.
type pools struct{}

var _ upstream.Pools = pools{}

// Pool is upstream.Pools. A key that cannot be used makes a pool whose every request fails with the
// reason: the registry has checked URLs and TLS settings before.
func (pools) Pool(key upstream.PoolKey) (exchange.Handler, io.Closer) {
	u, err := url.Parse(key.URL)
	if err != nil {
		return broken{err}, broken{err}
	}
	d, err := newDialer(u, key.Transport)
	if err != nil {
		return broken{err}, broken{err}
	}
	switch {
	case u.Scheme == "h2c":
		p := h2.NewPool(poolOfHTTP2(&key, u, d.offering()))
		return p, p
	case u.Scheme == "https" && !key.Transport.DisableHTTP2:
		p := newEither(&key, u, d)
		return p, p
	}
	p := h1.NewPool(poolOfHTTP1(&key, u, d.offering(protoHTTP1)))
	return p, p
}

// broken is a server that cannot be asked.
type broken struct{ err error }

// Handle fails with the reason.
func (b broken) Handle(*exchange.Exchange) error { return exchange.NoEndpoint.With(b.err) }

// Close is io.Closer.
func (b broken) Close() error { return nil }

// poolOfHTTP1 is the configuration of a pool of HTTP/1.1 to u.
func poolOfHTTP1(key *upstream.PoolKey, u *url.URL, dial dialFunc) h1.PoolConfig {
	t := key.Transport
	return h1.PoolConfig{
		Dial: dial, Host: ownHost(key, u), DefaultHost: []byte(u.Host), Prefix: prefix(key, u),
		DialTimeout: t.DialTimeout, HeadTimeout: t.ResponseHeaderTimeout, SendTimeout: stall,
		IdleTimeout: t.IdleTimeout, MaxIdle: maxIdle(t.MaxIdle), MaxConns: t.MaxConns,
	}
}

// poolOfHTTP2 is the configuration of a pool of HTTP/2 to u.
func poolOfHTTP2(key *upstream.PoolKey, u *url.URL, dial dialFunc) h2.PoolConfig {
	t := key.Transport
	scheme := "https"
	if u.Scheme == "h2c" {
		scheme = "http"
	}
	return h2.PoolConfig{
		Dial: dial, Scheme: scheme, Host: ownHost(key, u), DefaultHost: []byte(u.Host), Prefix: prefix(key, u),
		DialTimeout: t.DialTimeout, HeadTimeout: t.ResponseHeaderTimeout, SendTimeout: stall,
		IdleTimeout: t.IdleTimeout, MaxIdle: maxIdle(t.MaxIdle), MaxConns: t.MaxConns,
		PingAfter: t.PingAfter, PingTimeout: t.PingTimeout,
	}
}

// ownHost is the host that a server is sent instead of the client's; nil for that of the client.
func ownHost(key *upstream.PoolKey, u *url.URL) []byte {
	if key.PassHost {
		return nil
	}
	return []byte(u.Host)
}

// prefix is what is put before every path.
func prefix(key *upstream.PoolKey, u *url.URL) []byte {
	if path := u.EscapedPath(); key.PreservePath && path != "" && path != "/" {
		return []byte(path)
	}
	return nil
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
