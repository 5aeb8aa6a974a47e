package layer4

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// Transport is how servers are connected to. It must not change once it is in use.
type Transport struct {
	// DialTimeout bounds making a connection, TLS and what comes before it included. Zero means no limit.
	DialTimeout time.Duration
	// KeepAlive is the time between two keep-alive probes; zero means 15 s, negative none.
	KeepAlive time.Duration
	// TerminationDelay is how long one direction may make no progress once the other has ended;
	// negative means for ever.
	TerminationDelay time.Duration
	// ProxyVersion announces clients by a PROXY header of that version; 0 does not.
	ProxyVersion int
	TLS          upstream.TLS
}

// Defaults. Traefik's termination delay is 100 ms from the half-close on, whatever moves.
const (
	DefaultDialTimeout      = 30 * time.Second
	DefaultKeepAlive        = 15 * time.Second
	DefaultTerminationDelay = 10 * time.Second
)

// DefaultTransport is used by services that name no transport.
var DefaultTransport = &Transport{DialTimeout: DefaultDialTimeout, KeepAlive: DefaultKeepAlive, TerminationDelay: DefaultTerminationDelay}

// tlsFor makes the configuration for a server of TLS.
func (t *Transport) tlsFor(host string) (*tls.Config, error) {
	c, err := t.TLS.Config()
	if err == nil && c.ServerName == "" {
		c.ServerName = host
	}
	return c, err
}

// dial connects to a server on behalf of a stream, over TLS if secured is set.
func (t *Transport) dial(ctx context.Context, network, address string, secured *tls.Config, s *exchange.Stream) (net.Conn, error) {
	if t.DialTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.DialTimeout)
		defer cancel()
	}
	d := net.Dialer{KeepAlive: t.KeepAlive, Control: listen.Unpaced}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, dialKind(err).With(err)
	}
	if t.ProxyVersion > 0 {
		header := listen.AppendProxy(nil, t.ProxyVersion, s.Conn.Peer, s.Conn.Local)
		if _, err := c.Write(header); err != nil { // a fresh socket takes it without waiting
			c.Close()
			return nil, exchange.DialFailed.With(err)
		}
	}
	if s.Begin != nil {
		if err := begin(ctx, c, s, secured != nil); err != nil {
			c.Close()
			return nil, err
		}
	}
	if secured == nil {
		return c, nil
	}
	secure := tls.Client(c, secured)
	if err := secure.HandshakeContext(ctx); err != nil {
		c.Close()
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, exchange.DialTimeout.With(err)
		}
		return nil, exchange.UpstreamTLS.With(err)
	}
	return secure, nil
}

// begin has a stream begin on a connection.
func begin(ctx context.Context, c net.Conn, s *exchange.Stream, secure bool) error {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(past) })
	err := s.Begin(c, secure)
	if !stop() { // it is over, and the deadline may have been set
		return exchange.DialTimeout.With(context.Cause(ctx))
	}
	return err
}

var past = time.Unix(1, 0)

func dialKind(err error) exchange.Kind {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return exchange.DialTimeout
	}
	return exchange.DialFailed
}
