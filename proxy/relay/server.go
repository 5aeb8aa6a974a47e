package relay

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// Server relays the connections of an entry point. It is safe for concurrent use.
type Server struct {
	// Routes returns the routers in force; nil when there are none.
	Routes func() Routes
	// EntryPoint and Observer are told of every stream; both may be nil.
	EntryPoint exchange.StreamScope
	Observer   exchange.StreamObserver
	// MySQL makes it speak MySQL, and nothing else; nil: clients speak first.
	MySQL *MySQL
	// Handshake bounds a client's part of TLS, and the login of MySQL; Idle is how long a stream may move nothing. Zero means no
	// limit.
	Handshake, Idle time.Duration

	streams sweep.Sweeper
	active  atomic.Int64
	killed  atomic.Bool
}

// Choice is a connection's router. It is a protocol that serves this one connection.
type Choice struct {
	server   *Server
	route    *Route
	hello    helloInfo
	postgres bool
	// mysql is the number of the packet in which the client logs in; 0: it does not speak MySQL.
	mysql byte
}

// Serve relays conn until both sides have ended, closes it and calls done.
func (c *Choice) Serve(conn *listen.Conn, info *exchange.Conn, done func()) {
	s := newStream(c, conn, info)
	c.server.active.Add(1)
	s.serve()
	c.server.active.Add(-1)
	done()
}

// Drain is Server.Drain.
func (c *Choice) Drain(ctx context.Context) error { return c.server.Drain(ctx) }

// Kill is Server.Kill.
func (c *Choice) Kill(ctx context.Context) error { return c.server.Kill(ctx) }

// Active is the number of streams.
func (s *Server) Active() int { return int(s.active.Load()) }

// Drain returns when no stream is left, or ctx ends: what is said on a stream, and so when it may be
// interrupted, is its two ends' business.
func (s *Server) Drain(ctx context.Context) error { return listen.Await(ctx, s.ended) }

// Kill resets all streams, and waits until they have ended.
func (s *Server) Kill(ctx context.Context) error {
	s.killed.Store(true)
	s.streams.Each(func(e sweep.Entry) { e.(*stream).cut(exchange.Draining) })
	return listen.Await(ctx, s.ended)
}

func (s *Server) ended() bool { return s.active.Load() == 0 }
