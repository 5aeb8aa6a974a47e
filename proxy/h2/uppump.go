package h2

import (
	"io"
	"runtime/debug"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// upPump sends a request's body on a goroutine of its own, so that a server may answer before it has all
// of it, and both may stream.
type upPump struct {
	k       *call
	body    exchange.Body // as it was when the sending began: a handler may put another in its place
	rest    []byte        // of a body in memory
	whole   bool
	touched bool // body is no longer as it was; once done
	done    chan struct{}
	err     atomic.Pointer[error] // why the body could not be had; nil when sending failed
}

// startPump sends the body behind the head.
func (k *call) startPump(rest []byte, whole bool) {
	p := &upPump{k: k, body: k.x.Request.Body, rest: rest, whole: whole, done: make(chan struct{})}
	k.pump = p
	k.x.Request.Continue = false // the server gives the leave to send
	go func() {
		defer close(p.done)
		defer p.rescue()
		p.run()
	}()
}

func (p *upPump) run() {
	if p.whole {
		p.k.send(p.rest, true)
		return
	}
	for {
		p.touched = true
		chunk, err := p.body.Next()
		if err == io.EOF {
			p.end()
			return
		}
		if err != nil {
			p.fail(err)
			return
		}
		if len(chunk) > 0 && !p.k.send(chunk, false) {
			return // the answer, if there is one, tells why
		}
	}
}

// end sends the end, with the trailer section if there is one. RFC 9113 §8.1.
func (p *upPump) end() {
	t := &p.k.x.Request.Trailer
	if t.Len() == 0 {
		p.k.send(nil, true)
		return
	}
	k, u := p.k, p.k.u
	u.mu.Lock()
	if k.stopped || u.over != nil {
		u.mu.Unlock()
		return
	}
	at := len(u.out)
	u.out = u.enc.Header(u.enc.Begin(frame.BeginHeaders(u.out)), t, fields.NotInTrailer)
	u.out = frame.EndHeaders(u.out, at, k.id, true, u.maxFrame)
	k.finishSending()
	u.unlock()
}

// fail notes that the body could not be had: whoever waits for the answer waits in vain.
func (p *upPump) fail(err error) {
	p.err.Store(&err)
	u := p.k.u
	u.mu.Lock()
	u.reset(p.k, frame.Cancel, err)
	u.unlock()
}

// rescue makes a failure of a panic in the body, which a middleware may have wrapped.
func (p *upPump) rescue() {
	if r := recover(); r != nil {
		p.fail(exchange.Internal.Withf("panic in a request body: %v\n%s", r, debug.Stack()))
	}
}

// failure is why the body could not be had.
func (p *upPump) failure() error {
	if err := p.err.Load(); err != nil {
		return *err
	}
	return nil
}

// stop makes the pump end and waits for it. The stream is over already.
func (p *upPump) stop() {
	select {
	case <-p.done:
		return
	default:
	}
	if p.body != nil && !p.whole {
		p.body.Close()
	}
	wake(p.k.room)
	<-p.done
}
