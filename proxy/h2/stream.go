package h2

import (
	"errors"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// errReset is a stream that the client has reset.
var errReset = exchange.ClientAbort.With(errors.New("the client reset the stream"))

// downStream is a client's stream: a request and its response. A goroutine of its own answers it, while
// the connection's brings what the client sends. It is pooled.
type downStream struct {
	c  *downConn
	id uint32
	x  exchange.Exchange
	// life is the exchange's; block and trailer are the memory of its header fields.
	life           exchange.Life
	block, trailer fields.Block
	body           requestBody
	refusal        error // why the request is answered without a handler; nil if it is not
	change         fields.Change
	wake           chan struct{} // something that a writer waits for may have come

	// With the connection's lock.
	window             int    // how much data the client takes
	left               int64  // what the body must still have; -1 when nobody said
	ended              bool   // the client has said all
	reset              bool   // the stream is over before its time: nothing more is sent on it
	answered           bool   // the final response has begun
	complete           bool   // and has been sent whole
	tunnelled          bool   // the protocol has changed
	listed             bool   // in the connection's list of the blocked
	sent, got          uint32 // count what moves either way, for the sweeper
	sending, receiving stall
}

var streams = sync.Pool{New: func() any {
	s := &downStream{wake: make(chan struct{}, 1)}
	s.body.s, s.body.wake = s, make(chan struct{}, 1)
	return s
}}

func newStream(c *downConn, id uint32) *downStream {
	s := streams.Get().(*downStream)
	s.c, s.id = c, id
	s.body.reset()
	return s
}

// free gives the stream back. Nobody else may know of it any more.
func (s *downStream) free() {
	s.block.Shed()
	s.trailer.Shed()
	drain(s.wake)
	s.c, s.refusal = nil, nil
	s.ended, s.reset, s.answered, s.complete, s.listed, s.tunnelled = false, false, false, false, false, false
	streams.Put(s)
}

func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func drain(ch chan struct{}) {
	select {
	case <-ch:
	default:
	}
}

// wakeAll wakes whoever waits for anything of the stream.
func (s *downStream) wakeAll() {
	wake(s.wake)
	wake(s.body.wake)
}

// drop ends the stream before its time: whoever works for it is told, and nothing more is sent. It holds
// its slot until they have ended. With the lock.
func (s *downStream) drop(how endedBy, reason error) {
	s.reset = true
	delete(s.c.streams, s.id)
	s.c.past.add(s.id, how)
	s.body.fail(reason)
	s.life.Cancel(reason)
	s.wakeAll()
}

// end takes the end of what the client sends. With the lock.
func (s *downStream) end() *frame.Error {
	if s.left > 0 {
		return on(s.id, breach(frame.ProtocolError, fields.RuleLengthBody.Name))
	}
	s.ended = true
	wake(s.body.wake)
	return nil
}

// Run answers the request. It is what a worker does.
func (s *downStream) Run() {
	x := &s.x
	s.body.begin()
	err := s.refusal
	if err == nil {
		err = s.life.Err() // reset already
	}
	if err == nil {
		err = s.handle(x)
	}
	if err == nil {
		err = s.change.Check(x)
	}
	if err != nil {
		x.ResetResponse()
		s.rescue(err)
	}
	err = s.respond()
	if err != nil && !x.Record.Failed {
		x.Record.Failed, x.Record.Error, x.Record.Kind = true, err, exchange.KindOf(err)
	}
	s.finish()
	s.leave(err)
}

// handle calls the handler, and makes an error of a panic.
func (s *downStream) handle(x *exchange.Exchange) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = exchange.Internal.Withf("panic: %v", p)
			s.c.srv.Logger.Error("panic in a handler", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return s.c.srv.Handler.Handle(x)
}

// rescue turns an error into a response.
func (s *downStream) rescue(err error) {
	if reason := s.life.Err(); reason != nil {
		err = exchange.KindOf(reason).With(errors.Join(reason, err))
	}
	exchange.Rescue(&s.x, err)
}

// finish ends the exchange: the record is complete.
func (s *downStream) finish() {
	x := &s.x
	x.Response.Close()
	s.life.End()
	x.Record.Duration = clock.Now() - x.Record.Start
	x.Record.RequestBytes = s.body.count.Load()
	if o := s.c.srv.Observer; o != nil {
		o.Observe(x)
	}
	x.Free()
}

// leave ends the stream for the client, if it has not ended, gives its slot back, and sees to it that what
// was said is sent. RFC 9113 §8.1.
func (s *downStream) leave(err error) {
	c := s.c
	c.mu.Lock()
	if !s.reset {
		delete(c.streams, s.id)
		how := byEnd
		switch {
		case !s.complete:
			how = byUs
			b := c.output()
			b.p = frame.AppendRSTStream(b.p, s.id, frame.Code(exchange.KindOf(err).Reset()))
		case !s.ended: // nobody wants the rest
			how = byUs
			c.unwant(s.id)
		case s.refusal == nil:
			c.budget.earn(earnRequest)
		}
		c.past.add(s.id, how)
	}
	if s.listed {
		c.forget(s)
	}
	s.body.giveBack()
	s.free()
	if c.working--; c.working == 0 {
		c.since = 0
	}
	if c.over {
		c.quiet.Broadcast()
	}
	if c.out == nil || c.flushing || c.over {
		c.mu.Unlock()
		return
	}
	c.flushing = true
	others := c.working > 0
	c.mu.Unlock()
	if others {
		runtime.Gosched() // whoever else can run may have something to send too: one write for all
	}
	c.flush()
}
