package h3

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// stream is a request stream and the exchange on it. It is pooled.
type stream struct {
	conn  *conn
	quic  *quic.Stream
	place int // among the connection's streams

	x    exchange.Exchange
	life exchange.Life
	head fields.Block // of the request
	reader
	body     requestBody
	out      []byte
	progress progress // of the stream's goroutine
	intake   progress // of a body that is read, perhaps by another
	expired  atomic.Bool

	informing sync.Mutex // orders an interim response of the body's reader before the final one
	answered  bool       // the final response has begun
	broken    bool       // the response was cut off for a malformed request
	change    fields.Change
	spoilt    bool // others may still have some of it: it is not used again
	unwatch   func() bool
}

var streams = sync.Pool{New: func() any {
	return &stream{reader: reader{buf: make([]byte, headBuffer)}, out: make([]byte, 0, headBuffer)}
}}

func newStream(c *conn, q *quic.Stream) *stream {
	s := streams.Get().(*stream)
	s.conn, s.quic = c, q
	s.expired.Store(false)
	s.answered, s.broken = false, false
	s.x.Reset(c.info, &s.life, s)
	s.reader.begin(q)
	s.body.begin(s, 0)
	s.body.over = true // until the head says otherwise
	s.progress.enter(reading)
	return s
}

// Run serves the stream and gives it back. It is what a worker does.
func (s *stream) Run() {
	c := s.conn
	defer c.wg.Done()
	s.unwatch = context.AfterFunc(s.quic.Context(), s.gone)
	defer func() {
		if p := recover(); p != nil {
			c.srv.Logger.Error("panic outside a handler", "panic", p, "stack", string(debug.Stack()))
			s.spoilt = true
			s.cancel(codeInternal)
			s.abandon()
		}
		s.settled()
		if !s.eof {
			s.quic.CancelRead(codeNoError)
		}
		c.finished(s)
		s.quic.ReleaseStreamCredit()
		s.giveBack()
	}()
	s.serve()
}

// gone is called when the client has given the response up, or the connection has ended.
func (s *stream) gone() { s.life.Cancel(exchange.ClientAbort) }

// settled ends the watch over the client: the response has been sent, or will not be.
func (s *stream) settled() {
	if s.unwatch != nil && !s.unwatch() {
		s.spoilt = true // gone may be running
	}
	s.unwatch = nil
}

// abandon gives up what an exchange held that a panic has ended.
func (s *stream) abandon() {
	defer func() { _ = recover() }() // the body that has panicked may do so once more
	defer s.life.End()
	defer s.x.Free()
	s.x.Response.Close()
}

// giveBack returns the stream to the pool.
func (s *stream) giveBack() {
	if s.spoilt {
		return
	}
	s.conn, s.quic = nil, nil
	s.reader.release()
	if cap(s.out) > outBuffer || len(s.buf) > headBuffer {
		return // grown for an unusual request: let it go
	}
	s.head.Shed()
	s.x.Request.Body, s.x.Response.Body, s.x.Record = nil, nil, exchange.Record{}
	s.body.forget()
	streams.Put(s)
}

// serve reads the request's head, has it handled and sends the response.
func (s *stream) serve() {
	x := &s.x
	err := s.readHead()
	s.progress.enter(idle)
	if err == errNothing || exchange.KindOf(err) == exchange.ClientAbort {
		s.cancel(codeRequestIncomplete) // nothing was asked
		return
	}
	x.Record.Start = clock.Now()
	x.Request.Scheme, x.Request.Proto = "https", exchange.HTTP3
	s.life.Begin()
	if s.quic.Context().Err() != nil {
		s.life.Cancel(exchange.ClientAbort)
	}
	switch {
	case err == nil:
		if err = s.handle(); err == nil {
			err = s.change.Check(x)
		}
		if err != nil {
			x.ResetResponse()
			s.rescue(err)
		}
	case malformed(err):
		s.refuse(err)
		s.cut(err)
		s.finish()
		return
	default:
		s.refuse(err)
	}
	s.respond()
	s.finish()
}

// malformed reports whether err is of a request that means nothing, or not one thing only. RFC 9114 §4.1.2.
func malformed(err error) bool {
	rule, ok := err.(*fields.Rule)
	return ok && rule.Malformed() || !ok && exchange.KindOf(err) == exchange.BadRequest
}

// cancel resets the response.
func (s *stream) cancel(code quic.StreamErrorCode) {
	s.settled()
	s.quic.CancelWrite(code)
}

// errNothing is a stream on which the client has asked for nothing.
var errNothing = errors.New("the stream ended before it began")

// refuse turns what is wrong with a request into a response. RFC 9114 §4.1.2, §8.
func (s *stream) refuse(err error) {
	switch e := err.(type) {
	case *fault:
		s.conn.fail(e)
	case *fields.Rule:
		s.conn.srv.refused(e.Name)
	}
	exchange.Rescue(&s.x, err)
}

// handle calls the handler, and makes an error of a panic.
func (s *stream) handle() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = exchange.Internal.Withf("panic: %v", p)
			s.conn.srv.Logger.Error("panic in a handler", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return s.conn.srv.Handler.Handle(&s.x)
}

// rescue turns an error into a response.
func (s *stream) rescue(err error) {
	if s.life.Err() != nil {
		err = exchange.ClientAbort.With(err)
	}
	exchange.Rescue(&s.x, err)
}

// finish ends the exchange. What the client may still be sending is not wanted. RFC 9114 §4.1.
func (s *stream) finish() {
	x := &s.x
	x.Response.Close()
	s.life.End()
	if !s.eof {
		s.eof = true
		code := quic.StreamErrorCode(codeNoError)
		if s.broken {
			code = codeMessage
		}
		s.quic.CancelRead(code)
	}
	x.Record.Duration = clock.Now() - x.Record.Start
	x.Record.RequestBytes = s.body.bytes()
	if o := s.conn.srv.Observer; o != nil {
		o.Observe(x)
	}
	x.Free()
}

// lost names the error that ended a read or a write of the stream.
func (s *stream) lost(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || s.expired.Load() {
		return exchange.ClientTimeout.With(err)
	}
	return exchange.ClientAbort.With(err)
}

// sweep is the stream's timer.
func (s *stream) sweep(now int64) {
	t := &s.conn.srv.Timeouts
	over := func(limit, still int64) bool { return limit > 0 && still > limit }
	switch ph, still := s.progress.stuck(now); ph {
	case reading:
		if over(int64(t.Header), still) {
			s.expire()
			s.quic.SetReadDeadline(past)
		}
	case writing:
		if over(int64(t.Write), still) {
			s.expire()
			s.quic.SetWriteDeadline(past)
		}
	}
	if ph, still := s.intake.stuck(now); ph == receiving && over(int64(t.Body), still) {
		s.expire()
		s.quic.SetReadDeadline(past)
	}
}

func (s *stream) expire() { s.expired.Store(true) }
