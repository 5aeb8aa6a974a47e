package relay

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// stream is a connection that is being relayed.
type stream struct {
	exchange.Stream
	server *Server
	choice *Choice
	conn   *listen.Conn // the client's
	mysql  *mysqlLogin  // nil: it is not of MySQL

	ticket *sweep.Ticket
	cancel context.CancelFunc // ends the time before there is a server
	// limit is how long nothing may move, in nanoseconds; 0 for ever. ended is when it was last set.
	limit, ended atomic.Int64
	far          atomic.Pointer[Far]

	mu      sync.Mutex
	sides   [2]interrupter // the client's, and the server's once there is one; interrupted together by cut
	stopped error          // why cut was called

	tally tally
}

// interrupter is what cut needs of a connection, or of a pair of them.
type interrupter interface {
	SetDeadline(time.Time) error
}

var streamIDs atomic.Uint64

func newStream(c *Choice, conn *listen.Conn, info *exchange.Conn) *stream {
	s := &stream{server: c.server, choice: c, conn: conn}
	s.sides[0] = conn.Net()
	s.Stream.ID, s.Stream.Conn, s.Protocol, s.Start = streamIDs.Add(1), info, "tcp", clock.Now()
	s.Stream.ServerName = c.hello.ServerName
	s.Passthrough = c.hello.sent && c.route.TLS == nil
	s.Router = c.route.Router
	s.Unlogged, s.Uncounted = c.route.Unlogged, c.route.Uncounted
	switch {
	case c.postgres:
		s.Begin = c.beginPostgres
	case c.mysql > 0:
		s.mysql = &mysqlLogin{}
		s.mysql.client.Sequence = c.mysql
		s.Begin = s.mysql.begin
	}
	s.tally.start(s.Start)
	return s
}

// serve takes the stream from its router to its end.
func (s *stream) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.tell(s.server.EntryPoint, exchange.StreamScope.Opened)
	s.tell(s.Router, exchange.StreamScope.Opened)
	s.ticket = s.server.streams.Add(s)
	if s.server.killed.Load() {
		s.cut(exchange.Draining)
	}
	s.Fail(s.pass(ctx))
	s.server.streams.Remove(s.ticket)
	cancel()
	switch {
	case !s.Failed:
	case s.mysql != nil && s.mysql.farewell(s):
		s.conn.Linger()
	default:
		s.conn.Abort()
	}
	s.conn.Close()
	s.finish()
}

// pass goes through the router's gates.
func (s *stream) pass(ctx context.Context) error {
	r := s.choice.route
	if r.Err != nil {
		return r.Err
	}
	for i, g := range r.Gates {
		if err := g.Enter(s.Stream.Conn); err != nil {
			for _, entered := range r.Gates[:i] {
				entered.Leave(s.Stream.Conn)
			}
			return err
		}
	}
	err := s.connect(ctx)
	for _, g := range r.Gates {
		g.Leave(s.Stream.Conn)
	}
	return err
}

// connect makes the connection to a server, and the client's TLS before that, and relays.
func (s *stream) connect(ctx context.Context) error {
	if s.choice.route.TLS != nil {
		if err := s.handshake(ctx); err != nil {
			return s.reason(exchange.BadRequest.With(err))
		}
	}
	if s.mysql != nil {
		if err := s.mysql.read(s); err != nil {
			return s.reason(err)
		}
	}
	began := clock.Now()
	link, err := s.choice.route.Service.Connect(ctx, &s.Stream)
	s.DialDuration = clock.Now() - began
	if err != nil {
		return s.reason(err)
	}
	if link.Release != nil {
		defer link.Release()
	}
	defer link.Conn.Close()
	if !s.attach(link.Conn) {
		return s.reason(nil)
	}
	s.tell(s.Service, exchange.StreamScope.Opened)
	s.tell(s.Endpoint, exchange.StreamScope.Opened)
	s.far.Store(farOf(&s.Stream))
	if err = s.relay(link); err != nil {
		reset(link.Conn)
	}
	return err
}

// handshake terminates the client's TLS.
func (s *stream) handshake(ctx context.Context) error {
	if limit := s.server.Handshake; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	t := tls.Server(s.conn.Wire(), s.choice.route.TLS())
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	state := t.ConnectionState()
	s.Stream.Conn.TLS = &state
	s.conn = listen.NewConn(t, nil)
	s.mu.Lock()
	s.sides[0] = t
	s.mu.Unlock()
	return nil
}

// attach makes the server's connection a side of the stream; false when it has been cut.
func (s *stream) attach(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sides[1] = c
	return s.stopped == nil
}

// within bounds what is read and written on both sides to d from now; zero takes the bound away. The error is
// why the stream was cut, if it was.
func (s *stream) within(d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped != nil {
		return s.stopped
	}
	var until time.Time
	if d > 0 {
		until = time.Now().Add(d)
	}
	for _, c := range s.sides {
		if c != nil {
			c.SetDeadline(until)
		}
	}
	return nil
}

// cut ends the stream, from any goroutine. The first reason stands.
func (s *stream) cut(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped != nil {
		return
	}
	s.stopped = reason
	s.cancel()
	for _, c := range s.sides {
		if c != nil {
			c.SetDeadline(past)
		}
	}
}

var past = time.Unix(1, 0)

// reason is why the stream was cut, if it was; else err.
func (s *stream) reason(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped != nil {
		return s.stopped
	}
	return err
}

// Sweep is the stream's timer, and tells the scopes what has moved.
func (s *stream) Sweep(now int64) {
	idle := s.tally.idle(&s.Stream, now)
	if limit := s.limit.Load(); limit > 0 && min(idle, now-s.ended.Load()) > limit {
		s.cut(errIdle)
	}
	s.flush()
}

var errIdle = exchange.ClientTimeout.Withf("nothing moved for too long")

// flush tells the scopes what they have not been told.
func (s *stream) flush() {
	in, out := s.tally.moved(&s.Stream)
	if in+out == 0 {
		return
	}
	s.moved(s.server.EntryPoint, in, out)
	s.moved(s.Router, in, out)
	if s.far.Load() != nil { // Service and Endpoint are set
		s.moved(s.Service, in, out)
		s.moved(s.Endpoint, in, out)
	}
}

func (s *stream) moved(scope exchange.StreamScope, received, sent int64) {
	if scope != nil && !s.Uncounted {
		scope.Moved(&s.Stream, received, sent)
	}
}

func (s *stream) tell(scope exchange.StreamScope, of func(exchange.StreamScope, *exchange.Stream)) {
	if scope != nil && !s.Uncounted {
		of(scope, &s.Stream)
	}
}

// finish tells everybody that the stream has ended.
func (s *stream) finish() {
	s.Duration = clock.Now() - s.Start
	s.flush()
	s.tell(s.server.EntryPoint, exchange.StreamScope.Closed)
	s.tell(s.Router, exchange.StreamScope.Closed)
	if s.far.Load() != nil {
		s.tell(s.Service, exchange.StreamScope.Closed)
		s.tell(s.Endpoint, exchange.StreamScope.Closed)
	}
	if s.server.Observer != nil && !s.Unlogged {
		s.server.Observer.Ended(&s.Stream)
	}
}
