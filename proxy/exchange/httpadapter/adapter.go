// Package httpadapter runs net/http handlers and middlewares on exchanges.
//
// A net/http handler pushes its response, an exchange's is pulled. So the handler gets a goroutine of
// its own, and the two take turns: the handler runs while somebody waits for the head or the next
// chunk, and is held inside Write or Flush while a chunk is being sent on. Nothing is copied but
// small writes, which are gathered; a chunk is the memory that the handler wrote from. The goroutine
// ends before the exchange does.
//
// What a handler may do under net/http it may do here: Flush, Hijack, interim responses, trailers
// both ways, full duplex, panic with http.ErrAbortHandler. Deadlines cannot be set with a
// ResponseController: the entry point watches over progress.
package httpadapter

import (
	"context"
	"io"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Handler answers exchanges with h.
func Handler(h http.Handler) exchange.Handler {
	return exchange.HandlerFunc(func(x *exchange.Exchange) error { return serve(x, h) })
}

// Middleware makes a net/http middleware one of exchanges. What follows it is shown to it as an
// http.Handler, which it may call once, with the request or a copy of it, before it returns. One that
// returns while another goroutine of it is in there, as http.TimeoutHandler does, is waited for.
func Middleware(m func(http.Handler) http.Handler) exchange.Middleware {
	return func(next exchange.Handler) exchange.Handler { return Handler(m(nextHandler{next})) }
}

// call is one run of a handler.
type call struct {
	x      *exchange.Exchange
	w      *writer
	body   *requestBody // nil when the request has none
	cancel context.CancelFunc

	// ready is sent to when the handler has something for the consumer, who then owns what stands
	// below; resume when the consumer wants more, or nothing any more.
	ready, resume chan struct{}

	chunk    []byte // the next part of the body; nil when it was taken
	finished bool   // there is no more than chunk
	err      error  // why the response is not whole
	closed   bool   // the consumer wants no more
	passed   bool   // the response of the exchange is another's already; see nextHandler
	hijacked *hijacked

	done chan struct{} // closed when nothing of the handler uses the exchange any more

	following sync.WaitGroup // calls of the next handler, for Middleware
	cut       error          // why one of those broke off
}

// serve runs h until the response has a head.
func serve(x *exchange.Exchange, h http.Handler) error {
	c := &call{x: x, ready: make(chan struct{}, 1), resume: make(chan struct{}, 1), done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithValue(x.Context(), callKey{}, c))
	c.cancel = cancel
	request := c.newRequest(ctx)
	c.w = newWriter(c)
	go c.run(h, request)
	<-c.ready
	switch {
	case c.hijacked != nil:
		return c.hijacked.respond(c)
	case c.passed:
		<-c.done
		c.w.release()
		return nil
	case c.finished && !c.w.committed:
		c.Close()
		return c.err
	}
	x.Response.Body = c
	return nil
}

// callKey is the context key of the call that a request belongs to.
type callKey struct{}

// run is the handler's goroutine.
func (c *call) run(h http.Handler, request *http.Request) {
	defer func() {
		var err error
		switch v := recover(); {
		case v == http.ErrAbortHandler && c.cut != nil:
			err = c.cut
		case v == http.ErrAbortHandler:
			err = exchange.Internal.With(http.ErrAbortHandler)
		case v != nil:
			err = exchange.Internal.Withf("http handler panicked: %v\n%s", v, debug.Stack())
		}
		c.w.leave()
		c.following.Wait()
		c.w.finish(err)
		if c.body != nil {
			c.body.end()
		}
		close(c.done)
	}()
	h.ServeHTTP(c.w, request)
}

// hand gives the consumer a chunk, maybe empty, and returns when it is done with it. The error is
// that the consumer wants no more.
func (c *call) hand(chunk []byte) error {
	if c.closed {
		return errGone
	}
	c.chunk = chunk
	c.ready <- struct{}{}
	<-c.resume
	if c.closed {
		return errGone
	}
	return nil
}

// Next lets the handler go on until it has a chunk.
func (c *call) Next() ([]byte, error) {
	for {
		if len(c.chunk) > 0 {
			chunk := c.chunk
			c.chunk = nil
			return chunk, nil
		}
		if c.finished && c.err != nil {
			return nil, c.err
		}
		if c.finished {
			return nil, io.EOF
		}
		c.resume <- struct{}{}
		<-c.ready
	}
}

// Whole returns what the handler has left when it returned and there are no trailers.
func (c *call) Whole() ([]byte, bool) {
	if !c.finished || c.err != nil || c.x.Response.Trailer.Len() > 0 {
		return nil, false
	}
	return c.chunk, true
}

// Waits reports whether the handler has yet to say more: it flushed the head alone.
func (c *call) Waits() bool { return len(c.chunk) == 0 && !c.finished }

// Close makes the handler's writes fail, ends its context and waits for it to return, and for
// whoever it lent the request's body to be done with it.
func (c *call) Close() error {
	if !c.finished {
		c.closed = true
		c.cancel()
		c.resume <- struct{}{}
		<-c.ready
	}
	<-c.done
	c.chunk = nil
	c.w.release()
	return nil
}
