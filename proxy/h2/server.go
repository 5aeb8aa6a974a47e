package h2

import (
	"cmp"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/internal/workers"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
	"github.com/pergola-mesh/pergola/proxy/h2/hpack"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// Server turns connections into exchanges, one for each stream. Its fields are set before the first Serve.
type Server struct {
	Handler  exchange.Handler
	Observer exchange.Observer // told of every finished exchange; may be nil
	Limits   fields.Limits
	// Timeouts measure progress: Header that of the preface and of a header block, Body and Write that of
	// a stream, Idle the time without any stream.
	Timeouts listen.Timeouts
	// MaxRequests and MaxAge end a connection, by GOAWAY. Zero means no limit.
	MaxRequests int
	MaxAge      time.Duration
	// MaxStreams is how many streams a connection may have at a time; 0 is DefaultMaxStreams. A stream
	// that the client has reset counts until its work has ended.
	MaxStreams int
	// DecoderTable and EncoderTable are the largest sizes in bytes of the tables that compress the
	// headers of requests and of responses; 0 is hpack.DefaultTableSize.
	DecoderTable, EncoderTable int
	// Scheme of the requests: "http" or "https".
	Scheme string
	// Refused is told of every message that was refused, by the name of its rule; may be nil.
	Refused func(rule string)
	Logger  *slog.Logger

	sweeper  sweep.Sweeper
	workers  workers.Pool
	active   atomic.Int64
	draining atomic.Bool
	killed   atomic.Bool

	unwantedFor time.Duration // another than unwantedFor, for tests
}

// Preface is what a client begins a connection with. RFC 9113 §3.4.
const Preface = frame.Preface

// DefaultMaxStreams is how many streams a connection may have at a time.
const DefaultMaxStreams = 100

// Windows that a client is given, in bytes. RFC 9113 §5.2.
const (
	streamWindow = 64 << 10
	connWindow   = 1 << 20
)

func (s *Server) maxStreams() int   { return cmp.Or(s.MaxStreams, DefaultMaxStreams) }
func (s *Server) decoderTable() int { return cmp.Or(s.DecoderTable, hpack.DefaultTableSize) }
func (s *Server) encoderTable() int { return cmp.Or(s.EncoderTable, hpack.DefaultTableSize) }

// Serve owns conn, on which the client's preface comes next, until it ends, and then closes it and calls
// done. It returns when the connection has ended or while it is idle: an idle connection has no
// goroutine. info is the connection's; it must not change any more.
func (s *Server) Serve(conn *listen.Conn, info *exchange.Conn, done func()) {
	now := clock.Now()
	c := &downConn{srv: s, io: conn, info: info, done: done, began: now, since: now, unacked: now, partial: now, breach: ruleSlowHead,
		dec: hpack.NewDecoder(s.decoderTable()), enc: hpack.NewEncoder(s.encoderTable()),
		recvWindow: connWindow, window: frame.InitialWindow,
		peerWindow: frame.InitialWindow, peerFrame: frame.MinMaxSize,
		budget: budget{left: maxBudget, at: now}, final: maxStream,
	}
	c.quiet.L = &c.mu
	s.active.Add(1)
	c.greet()
	c.ticket = s.sweeper.Add(c)
	c.serve()
}

// Active is the number of connections being served.
func (s *Server) Active() int { return int(s.active.Load()) }

// Drain tells every client by GOAWAY to begin nothing new, lets its streams finish, and returns when no
// connection is left or ctx ends. What is left then is cut by Kill.
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	return s.wait(ctx)
}

// Kill cuts every connection and waits for their goroutines.
func (s *Server) Kill(ctx context.Context) error {
	s.draining.Store(true)
	s.killed.Store(true)
	return s.wait(ctx)
}

func (s *Server) wait(ctx context.Context) error {
	return listen.Await(ctx, func() bool { return s.active.Load() == 0 })
}

func (s *Server) refused(rule string) {
	if s.Refused != nil {
		s.Refused(rule)
	}
}
