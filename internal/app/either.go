package app

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h1"
	"github.com/pergola-mesh/pergola/proxy/h2"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// either asks a server in the version of HTTP that it chooses in the TLS handshake, HTTP/2 if it may. What
// it chose last is what it is asked in; a connection on which it chooses otherwise is used all the same.
//
// What is to change protocol is asked in HTTP/1.1, on connections that offer nothing else.
type either struct {
	second   *h2.Pool
	first    *h1.Pool
	tunnels  *h1.Pool
	dial     dialFunc
	speaks1  atomic.Bool // the server chose HTTP/1.1
	mu       sync.Mutex  // guards spare
	spare    []spare     // connections on which the server chose what the pool that made them does not speak
	isClosed bool
}

// spare is a connection that waits for the pool that can use it.
type spare struct {
	conn *tls.Conn
	made int64
}

// maxSpare is how long a connection may wait, in nanoseconds. Longer, and the server may have closed it.
const maxSpare = int64(time.Second)

// errOther is that the server has chosen the other version.
var errOther = errors.New("the server chose another version of HTTP")

func newEither(key *upstream.PoolKey, u *url.URL, d *dialer) *either {
	e := &either{dial: d.offering(protoHTTP2, protoHTTP1)}
	e.second = h2.NewPool(poolOfHTTP2(key, u, func(ctx context.Context) (net.Conn, error) { return e.make(ctx, protoHTTP2) }))
	e.first = h1.NewPool(poolOfHTTP1(key, u, func(ctx context.Context) (net.Conn, error) { return e.make(ctx, protoHTTP1) }))
	e.tunnels = h1.NewPool(poolOfHTTP1(key, u, d.offering(protoHTTP1)))
	return e
}

// Handle asks the server.
func (e *either) Handle(x *exchange.Exchange) error {
	if x.Request.Upgrade != nil {
		return e.tunnels.Handle(x)
	}
	var err error
	for range 3 { // a server that changes its mind more often is not worth more
		if e.speaks1.Load() {
			err = e.first.Handle(x)
		} else {
			err = e.second.Handle(x)
		}
		if err == nil || !errors.Is(err, errOther) {
			break
		}
	}
	return err
}

// make returns a connection on which proto is spoken: one that waits, or a new one.
func (e *either) make(ctx context.Context, proto string) (net.Conn, error) {
	if c := e.take(proto); c != nil {
		return c, nil
	}
	c, err := e.dial(ctx)
	if err != nil {
		return nil, err
	}
	t := c.(*tls.Conn)
	chosen := chosenOn(t)
	e.speaks1.Store(chosen == protoHTTP1)
	if chosen == proto {
		return t, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.isClosed {
		go t.Close()
	} else {
		e.spare = append(e.spare, spare{t, clock.Now()})
	}
	return nil, errOther
}

// chosenOn is the version that the server has chosen: one that chooses nothing has never heard of another.
func chosenOn(t *tls.Conn) string {
	if t.ConnectionState().NegotiatedProtocol == protoHTTP2 {
		return protoHTTP2
	}
	return protoHTTP1
}

// take returns a connection that waits; nil when there is none. What has waited for too long is closed.
func (e *either) take(proto string) (c *tls.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := clock.Now()
	var left []spare
	for _, s := range e.spare {
		switch {
		case now-s.made > maxSpare:
			go s.conn.Close()
		case c == nil && chosenOn(s.conn) == proto:
			c = s.conn
		default:
			left = append(left, s)
		}
	}
	e.spare = left
	return c
}

// Close gives all connections up.
func (e *either) Close() error {
	e.mu.Lock()
	for _, s := range e.spare {
		go s.conn.Close()
	}
	e.spare, e.isClosed = nil, true
	e.mu.Unlock()
	return errors.Join(e.second.Close(), e.first.Close(), e.tunnels.Close())
}
