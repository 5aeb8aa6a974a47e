package relay

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay/hello"
)

// Routes is what the routers of an entry point say, at one moment. It is immutable.
type Routes interface {
	// Early finds the router of a connection whose client has said nothing; nil when that has to be
	// waited for.
	Early(c *exchange.Conn) *Route
	// Plain finds the router of a connection without TLS; nil leaves it to HTTP.
	Plain(c *exchange.Conn) *Route
	// Secure finds the router of a connection that begins with a ClientHello; nil leaves it to HTTP.
	// Only routers of TCP are looked at when tcp is set: for a client that cannot mean HTTP.
	Secure(c *exchange.Conn, h *hello.Hello, tcp bool) *Route
	// Secures reports whether Secure can find anything.
	Secures() bool
}

// Route is what a router does with a connection. It is immutable.
type Route struct {
	Router exchange.StreamScope
	// Gates are passed in this order.
	Gates   []exchange.Gate
	Service Service
	// TLS returns the configuration to terminate TLS with; nil: the bytes are passed on as they are.
	TLS func() *tls.Config
	// Err is why the router cannot serve; every stream ends with it.
	Err                 error
	Unlogged, Uncounted bool
}

// Service connects streams to servers.
type Service interface {
	// Connect returns a connection to a server, and notes in s what it tried. On an error (a Kind, or
	// one that wraps it) no connection is left.
	Connect(ctx context.Context, s *exchange.Stream) (Link, error)
}

// Link is a stream's connection to a server.
type Link struct {
	Conn net.Conn
	// TerminationDelay is how long one direction may make no progress once the other has ended;
	// negative means for ever.
	TerminationDelay time.Duration
	// Release is called once when the stream has ended and Conn is closed; nil for nothing.
	Release func()
}
