package h1

import (
	"io"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// requestBody is the body of a request on the server's side.
//
// Next is called by one goroutine at a time, which need not be the connection's: a pool sends a body
// from a goroutine of its own while the connection's waits for the answer. Close may be called
// meanwhile.
type requestBody struct {
	incoming
	c     *conn1
	short bool         // there is so little of it, or all is there, that it can be read away
	count atomic.Int64 // bytes handed out
	// touched says that somebody has begun to read.
	touched atomic.Bool
	// closed says that nobody wants the rest, interrupted that a read of it was, failed that it cannot be had.
	closed, interrupted, failed atomic.Bool
}

func (b *requestBody) begin(c *conn1, buf []byte, base, w int, mode bodyMode, length int64, trailer *exchange.Header) {
	b.incoming.begin(c.io, buf, base, w, mode, length, trailer)
	b.c = c
	b.count.Store(0)
	b.closed.Store(false)
	b.interrupted.Store(false)
	b.touched.Store(false)
	b.failed.Store(false)
	_, whole := b.whole()
	b.short = whole || mode != byLength || length <= maxDrain
}

// Whole returns the body if all of it has arrived with the head.
func (b *requestBody) Whole() ([]byte, bool) { return b.whole() }

// Next returns more of the body. A client that waits for leave to send it is given leave first,
// unless a server will do so (Request.Continue is then false).
func (b *requestBody) Next() ([]byte, error) {
	c := b.c
	b.touched.Store(true)
	if b.closed.Load() {
		return nil, io.ErrClosedPipe
	}
	if x := &c.ws.x; x.Request.Continue {
		x.Request.Continue = false
		if err := c.Inform(100, nil); err != nil {
			return nil, err
		}
	}
	c.intake.enter(receiving)
	p, err := b.next()
	if b.over {
		c.intake.enter(idle)
	} else {
		c.intake.enter(busy)
	}
	b.count.Add(int64(len(p)))
	if err != nil && err != io.EOF {
		b.failed.Store(true)
		if _, refused := err.(*fields.Rule); !refused {
			err = c.fault(err).With(err)
		} else if c.srv.Refused != nil {
			c.srv.Refused(err.(*fields.Rule).Name)
		}
	}
	return p, err
}

// Close stops a Next that waits, and every later one.
func (b *requestBody) Close() error {
	if !b.closed.Swap(true) && b.c.intake.phase() != idle {
		b.interrupted.Store(true)
		b.c.io.Interrupt()
	}
	return nil
}

// doomed reports whether the connection must end with the answer, which the client is then to be told, because the
// rest of the body is not sure to come or too long to read away. It is false while somebody may go on reading.
func (b *requestBody) doomed(x *exchange.Exchange) bool {
	if !b.c.leave.Load() {
		return true // it cannot be told from the next request
	}
	if b.c.intake.phase() == idle {
		return false // all has come
	}
	if b.closed.Load() || b.failed.Load() {
		return true
	}
	switch _, whole := exchange.WholeOf(x.Response.Body); {
	case whole && !x.Record.Sent:
		return !b.comes()
	case whole: // what is still on its way to the server is given up with it
		return true
	}
	return !b.touched.Load() && !b.short && !x.Record.Sent // what was sent is about to be read
}

// comes reports whether the rest of a body that nobody reads has come or is short. How long a chunked one is shows
// only when its end is there.
func (b *requestBody) comes() bool {
	if b.mode == byLength {
		return b.left <= maxDrain
	}
	for !b.over {
		p, err := b.decode()
		if err != nil {
			b.err = err
			return false
		}
		if len(p) == 0 && !b.over {
			return false
		}
		b.count.Add(int64(len(p)))
	}
	b.c.intake.enter(idle)
	return true
}

// drainable reports whether the rest of the body is sure to come and short enough to read away.
func (b *requestBody) drainable() bool {
	if _, whole := b.whole(); whole {
		return true
	}
	return b.err == nil && !b.closed.Load() && b.c.leave.Load() && (b.mode != byLength || b.left <= maxDrain)
}

// maxDrain is how much of an unwanted body is read to keep a connection, in bytes.
const maxDrain = 256 << 10

// drain reads the rest of the body if it is not long, and reports whether the connection can go on.
// A body that the client was never given leave to send cannot be told from the next request.
func (b *requestBody) drain() bool {
	if b.over {
		if b.interrupted.Load() {
			b.c.io.Resume() // the end came first
		}
		return true
	}
	if p, whole := b.whole(); whole {
		b.count.Add(int64(len(p)))
		b.skip()
		return true
	}
	if !b.drainable() || b.c.io.Inside() {
		return false
	}
	b.c.intake.enter(receiving)
	defer b.c.intake.enter(idle)
	for n := 0; n < maxDrain; {
		p, err := b.next()
		n += len(p)
		if err == io.EOF {
			return true
		}
		if err != nil {
			return false
		}
	}
	return false
}
