// Package headers is the headers middleware: it sets and deletes fields of requests and responses,
// answers cross-origin questions, and sets the fields that make browsers careful.
package headers

import (
	"fmt"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	if err := config.checkDeprecated(); err != nil {
		return nil, err
	}
	var h handler
	var err error
	if h.request, err = edits(config.CustomRequestHeaders); err != nil {
		return nil, fmt.Errorf("customRequestHeaders: %w", err)
	}
	h.takeHost()
	if h.response, err = edits(config.CustomResponseHeaders); err != nil {
		return nil, fmt.Errorf("customResponseHeaders: %w", err)
	}
	if config.hasCORS() {
		if h.cors, err = newCORS(&config); err != nil {
			return nil, err
		}
	}
	if h.secure, err = newSecure(&config); err != nil {
		return nil, err
	}
	return func(next exchange.Handler) exchange.Handler {
		h := h
		h.next = next
		return &h
	}, nil
}

type handler struct {
	host              []byte // the custom Host; nil for none
	request, response []edit
	cors              *crossOrigin // nil when there is nothing of it
	secure            *secure
	next              exchange.Handler
}

// takeHost moves a custom Host to where the exchange has it.
func (h *handler) takeHost() {
	kept := h.request[:0]
	for _, e := range h.request {
		if e.name.ID() != exchange.Host.ID() {
			kept = append(kept, e)
		} else if !e.delete {
			h.host = []byte(e.value)
		}
	}
	h.request = kept
}

// Handle edits the request, lets next answer it, and edits the response. Errors become responses
// here, so that they carry the fields too: a browser that gets a 502 without them cannot even read
// the status. Only where the client's own message is broken, or gone, is that left to the codec.
func (h *handler) Handle(x *exchange.Exchange) error {
	if h.cors != nil && isPreflight(&x.Request) {
		h.cors.answer(x)
		return nil
	}
	apply(&x.Request.Header, h.request)
	if h.host != nil {
		x.Request.Host = x.Request.Join(h.host)
	}
	if err := h.secure.check(&x.Request); err != nil {
		return err
	}
	isTLS := h.secure.isTLS(&x.Request)
	if err := h.next.Handle(x); err != nil {
		switch exchange.KindOf(err) {
		case exchange.BadRequest, exchange.HeaderTooLarge, exchange.ClientTimeout, exchange.ClientAbort:
			return err
		}
		exchange.Rescue(x, err)
	}
	h.secure.decorate(x, isTLS)
	apply(&x.Response.Header, h.response)
	if h.cors != nil {
		h.cors.decorate(x)
	}
	return nil
}
