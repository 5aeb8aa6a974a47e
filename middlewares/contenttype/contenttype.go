// Package contenttype is the contentType middleware: it tells clients the type of content for which
// the server gave none.
package contenttype

import (
	"io"
	"net/http"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// AutoDetect is deprecated: false switches the middleware off, which leaving it out does better.
	AutoDetect *bool `json:"autoDetect,omitempty"`
}

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	if config.AutoDetect != nil && !*config.AutoDetect {
		return func(next exchange.Handler) exchange.Handler { return next }, nil
	}
	return func(next exchange.Handler) exchange.Handler { return &handler{next} }, nil
}

type handler struct{ next exchange.Handler }

// Handle sets a missing Content-Type by the first bytes of the body, for which the head has to wait.
// https://mimesniff.spec.whatwg.org
func (h *handler) Handle(x *exchange.Exchange) error {
	if err := h.next.Handle(x); err != nil {
		return err
	}
	r := &x.Response
	if r.Body == nil || r.Tunnel != nil || x.Request.Method == "HEAD" || r.Status < 200 || r.Status == 204 || r.Status == 304 ||
		r.Header.Has(exchange.ContentType) || r.Header.Has(exchange.ContentEncoding) {
		return nil
	}
	first, whole := exchange.WholeOf(r.Body)
	if !whole {
		b := &peeked{from: r.Body}
		r.Body = b
		if b.first, b.err = b.from.Next(); b.err != nil && b.err != io.EOF {
			return b.err
		}
		first = b.first
	}
	if len(first) > 0 {
		r.Header.Add(exchange.ContentType, http.DetectContentType(first))
	}
	return nil
}

// peeked is a body of which the first chunk was looked at.
type peeked struct {
	from  exchange.Body
	first []byte
	err   error // what came in place of the first chunk
}

// Next returns the first chunk, then the others.
func (b *peeked) Next() ([]byte, error) {
	if first := b.first; len(first) > 0 {
		b.first = nil
		return first, nil
	}
	if b.err != nil {
		return nil, b.err
	}
	return b.from.Next()
}

// Close closes the body.
func (b *peeked) Close() error {
	b.first = nil
	return b.from.Close()
}
