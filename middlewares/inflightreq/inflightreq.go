// Package inflightreq is the inFlightReq middleware: it bounds the requests of one source that are served
// at a time.
package inflightreq

import (
	"errors"
	"sync"

	"github.com/pergola-mesh/pergola/middlewares/internal/source"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// Amount is how many requests of one source may be served at a time.
	Amount int64 `json:"amount,omitempty"`
	// SourceCriterion says whose a request is; unset it is its host's.
	SourceCriterion *source.Config `json:"sourceCriterion,omitempty"`
}

// New makes the middleware. Its count is over all routers that use it.
func New(config Config) (exchange.Middleware, error) {
	if config.Amount <= 0 {
		return nil, errors.New("amount must be above 0: it is how many requests of one source may be served at a time")
	}
	s, err := source.New(config.SourceCriterion, source.Config{RequestHost: true})
	if err != nil {
		return nil, err
	}
	l := &limiter{amount: config.Amount, source: s}
	return func(next exchange.Handler) exchange.Handler { return &handler{l, next} }, nil
}

var errFull = exchange.TooManyRequests.With(errors.New("inFlightReq: the source has as many requests in flight as it may"))

// limiter is what all routers that use the middleware share.
type limiter struct {
	amount int64
	source *source.Source
	counts counts
}

type handler struct {
	*limiter
	next exchange.Handler
}

var tickets = sync.Pool{New: func() any { return new(ticket) }}

// ticket is a request's place. It is given back when the response is over, its body included.
type ticket struct {
	counts *counts
	count  *count
	before exchange.Releaser
}

// Release is exchange.Releaser.
func (t *ticket) Release() {
	if t.before != nil {
		t.before.Release()
	}
	t.counts.leave(t.count)
	*t = ticket{}
	tickets.Put(t)
}

// Handle lets the request through if its source has room for it. One that asks for a change of protocol
// keeps its place until that ends.
func (h *handler) Handle(x *exchange.Exchange) error {
	var buf [128]byte
	c := h.counts.enter(h.source.Append(buf[:0], x), h.amount)
	if c == nil {
		return errFull
	}
	t := tickets.Get().(*ticket)
	t.counts, t.count = &h.counts, c
	answered := false
	defer func() {
		if !answered { // after a panic as well
			t.Release()
		}
	}()
	if err := h.next.Handle(x); err != nil {
		return err
	}
	t.before, x.Response.Releaser, answered = x.Response.Releaser, t, true
	return nil
}
