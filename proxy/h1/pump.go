package h1

import (
	"io"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// pump sends a request's body on a goroutine of its own, so that a server may answer before it has
// all of it, and both may stream.
type pump struct {
	k    *call
	u    *upConn
	body exchange.Body // as it was when the sending began: a handler may put another in its place
	done chan struct{}
	err  atomic.Pointer[error] // why the body could not be had; nil when sending failed
	ok   bool                  // all was sent
}

// startPump sends the head, and the body behind it. whole bodies are known already.
func (k *call) startPump(body []byte, whole bool) {
	p := &pump{k: k, u: k.u, body: k.x.Request.Body, done: make(chan struct{})}
	k.pump = p
	k.x.Request.Continue = false // the server gives the leave to send
	k.u.sending.enter(writing)
	go func() {
		defer close(p.done)
		defer p.u.sending.enter(idle)
		defer p.rescue()
		if p.u.conn.Write2(k.out.b, body) != nil {
			return
		}
		if p.ok = whole; !whole {
			p.run()
		}
	}()
}

func (p *pump) run() {
	r := &p.k.x.Request
	chunked := r.Length < 0
	var frame []byte
	for {
		p.u.sending.enter(busy)
		chunk, err := p.body.Next()
		p.u.sending.enter(writing)
		if err == io.EOF {
			break
		}
		if err != nil {
			p.fail(err)
			return
		}
		if len(chunk) == 0 {
			continue // as a chunk it would be the end
		}
		if chunked {
			frame, err = sendChunk(p, frame, chunk)
		} else {
			err = p.send(chunk, nil)
		}
		if err != nil {
			return // the answer, if there is one, tells why
		}
	}
	if chunked && p.send(appendLastChunk(frame, &r.Trailer), nil) != nil {
		return
	}
	p.ok = true
}

func (p *pump) send(a, b []byte) error { return p.u.conn.Write2(a, b) }

// fail notes that the body could not be had: whoever waits for the answer waits in vain.
func (p *pump) fail(err error) {
	p.err.Store(&err)
	p.u.interrupt()
}

// rescue makes a failure of a panic in the body, which a middleware may have wrapped.
func (p *pump) rescue() {
	if r := recover(); r != nil {
		p.fail(exchange.Internal.Withf("panic in a request body: %v\n%s", r, stack()))
	}
}

// failure is why the body could not be had.
func (p *pump) failure() error {
	if err := p.err.Load(); err != nil {
		return *err
	}
	return nil
}

// ended reports whether everything has been sent.
func (p *pump) ended() bool {
	select {
	case <-p.done:
		return p.ok
	default:
		return false
	}
}

// stop makes the pump end and waits for it.
func (p *pump) stop() {
	select {
	case <-p.done:
		return
	default:
	}
	if b := p.body; b != nil {
		b.Close()
	}
	p.u.conn.InterruptWrite()
	<-p.done
}

var _ exchange.Body = (*call)(nil)
