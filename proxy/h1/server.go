package h1

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// Server turns connections into exchanges. Its fields are set before the first Serve.
type Server struct {
	Handler  exchange.Handler
	Observer exchange.Observer // told of every finished exchange; may be nil
	Limits   fields.Limits
	Timeouts listen.Timeouts
	// MaxRequests and MaxAge end a kept connection, with Connection: close on its last response.
	// Zero means no limit.
	MaxRequests int
	MaxAge      time.Duration
	// Scheme of the requests: "http" or "https".
	Scheme string
	// Shared says that other protocols are spoken on the port too: a connection that does not begin as one
	// of HTTP/1.1 gets no answer in it.
	Shared bool
	// Refused is told of every message that was refused, by the name of its rule; may be nil.
	Refused func(rule string)
	Logger  *slog.Logger

	sweeper  sweep.Sweeper
	active   atomic.Int64
	draining atomic.Bool
	killed   atomic.Bool
}

// Serve owns conn until it ends, and then closes it and calls done. It returns when the connection has
// ended or while it is idle: an idle connection has no goroutine. info is the connection's; it must
// not change any more.
func (s *Server) Serve(conn *listen.Conn, info *exchange.Conn, done func()) {
	c := &conn1{srv: s, io: conn, info: info, done: done, began: clock.Now()}
	s.active.Add(1)
	c.enter(idle)
	if conn.Ahead() {
		c.enter(reading)
	}
	c.ticket = s.sweeper.Add(c)
	c.serve()
}

// end closes the connection. Not from inside a sweep.
func (c *conn1) end() {
	c.srv.sweeper.Remove(c.ticket)
	c.giveBack()
	c.io.Close()
	c.done() // before whoever waits for the last connection may go on
	c.srv.active.Add(-1)
}

// Active is the number of connections being served.
func (s *Server) Active() int { return int(s.active.Load()) }

// Drain lets every connection finish what it is doing, says Connection: close on the last responses,
// ends idle connections, and returns when none is left or ctx ends. What is left then is cut by Kill.
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

// drainIdle is how long a connection may be idle while draining before it is closed: a client that
// is about to use it gets that long to be told Connection: close instead.
const drainIdle = time.Second

// Sweep is the connection's timer.
func (c *conn1) Sweep(now int64) {
	s := c.srv
	ph, still := c.progress.stuck(now)
	if s.killed.Load() {
		if ph == parked {
			c.endParked()
			return
		}
		c.life.Cancel(exchange.Draining)
		c.io.Interrupt()
		c.io.InterruptWrite()
		return
	}
	over := func(limit time.Duration) bool { return limit > 0 && still > int64(limit) }
	switch ph {
	case idle:
		switch {
		case over(s.Timeouts.Idle) || s.draining.Load() && over(drainIdle):
			c.tell(ending)
		case still > int64(parkAfter):
			c.tell(parking)
		}
	case parked:
		if over(s.Timeouts.Idle-parkAfter) || s.draining.Load() {
			c.endParked()
		}
	case reading:
		if over(s.Timeouts.Header) {
			c.expired.Store(true)
			c.io.Interrupt()
		}
	case writing:
		if c.io.Taken() {
			c.progress.since = now
		} else if over(s.Timeouts.Write) {
			c.expired.Store(true)
			c.io.InterruptWrite()
		}
	case busy:
		// A client that half-closed after its body is complete has gone; before that, reading the
		// body will tell.
		if in, _ := c.intake.stuck(now); in == idle && c.io.PeerGone() {
			c.life.Cancel(exchange.ClientAbort)
		}
	}
	if in, still := c.intake.stuck(now); in == receiving && c.leave.Load() && s.Timeouts.Body > 0 && still > int64(s.Timeouts.Body) {
		c.expired.Store(true)
		c.io.Interrupt()
	}
}

// parkAfter is how long a connection is idle before its goroutine ends.
const parkAfter = time.Second

// tell has the connection's goroutine leave its wait, unless a request comes first.
func (c *conn1) tell(ph phase) {
	if c.io.Fused() || ph == ending {
		if c.progress.tell(ph) {
			c.io.Interrupt()
			c.told.Store(true)
		}
	}
}

// endParked ends a connection that has no goroutine.
func (c *conn1) endParked() {
	if c.io.Unpark() {
		c.progress.enter(ending)
		go c.end()
	}
}

// enter begins a phase. A connection that the sweeper has just told to end or to park, and that has
// got a request instead, takes the interruption back.
func (c *conn1) enter(ph phase) {
	if c.progress.enter(ph).told() {
		for !c.told.Load() {
			runtime.Gosched() // the sweeper is about to interrupt
		}
		c.told.Store(false)
		c.io.Resume()
	}
}

// fault names the error that ended a connection's read or write.
func (c *conn1) fault(err error) exchange.Kind {
	if c.expired.Load() || errors.Is(err, os.ErrDeadlineExceeded) && !c.srv.killed.Load() {
		return exchange.ClientTimeout
	}
	return exchange.ClientAbort
}
