// Package buffering is the buffering middleware: it takes in requests and responses whole before it
// passes them on, bounds their bodies, and may send a request again.
package buffering

import (
	"errors"
	"fmt"

	"github.com/pergola-mesh/pergola/middlewares/internal/attempt"
	"github.com/pergola-mesh/pergola/middlewares/internal/expression"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// defaultMemory is how much of a body stays in memory, in bytes.
const defaultMemory = 1 << 20

// maxRetries bounds what an expression can ask for.
const maxRetries = 10

// Config is the middleware's configuration. All sizes are in bytes.
type Config struct {
	// MaxRequestBodyBytes is the longest request body that is passed on; 0 is no limit.
	MaxRequestBodyBytes int64 `json:"maxRequestBodyBytes,omitempty"`
	// MemRequestBodyBytes is how much of a request body stays in memory; the rest goes to a file.
	MemRequestBodyBytes int64 `json:"memRequestBodyBytes,omitempty"`
	// MaxResponseBodyBytes is the longest response body that is passed on; 0 is no limit.
	MaxResponseBodyBytes int64 `json:"maxResponseBodyBytes,omitempty"`
	// MemResponseBodyBytes is how much of a response body stays in memory; the rest goes to a file.
	MemResponseBodyBytes int64 `json:"memResponseBodyBytes,omitempty"`
	// RetryExpression is the condition under which a request is sent again; empty is never.
	RetryExpression string `json:"retryExpression,omitempty"`
}

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	p := &policy{request: limits{max: config.MaxRequestBodyBytes}, response: limits{max: config.MaxResponseBodyBytes}}
	for _, m := range []struct {
		key  string
		from int64
		to   *int64
	}{{"memRequestBodyBytes", config.MemRequestBodyBytes, &p.request.memory}, {"memResponseBodyBytes", config.MemResponseBodyBytes, &p.response.memory}} {
		switch {
		case m.from < 0:
			return nil, fmt.Errorf("%s is %d: it must not be below 0", m.key, m.from)
		case m.from == 0:
			m.from = defaultMemory
		}
		*m.to = m.from
	}
	if config.RetryExpression != "" {
		var err error
		if p.retry, p.byMethod, err = parse(config.RetryExpression); err != nil {
			return nil, fmt.Errorf("retryExpression: %w", err)
		}
	}
	return func(next exchange.Handler) exchange.Handler { return &handler{p, next} }, nil
}

// limits are those of one direction. A max of 0 or less is none.
type limits struct{ max, memory int64 }

func (l limits) forbid(size int64) bool { return l.max > 0 && size > l.max }

// policy is what all routers that use the middleware share.
type policy struct {
	request, response limits
	retry             expression.Test[outcome] // nil for never
	byMethod          bool                     // retry looks at the method, so any may be sent again
}

type handler struct {
	*policy
	next exchange.Handler
}

// Handle takes the request in, has next answer it, as often as the expression says, and takes the answer
// in. Nothing is passed on of an answer that breaks off.
func (h *handler) Handle(x *exchange.Exchange) error {
	body, err := h.takeRequest(x)
	if err != nil {
		return err
	}
	if h.retry == nil {
		x.Request.Body = body()
		if err := h.next.Handle(x); err != nil {
			return err
		}
		return h.takeResponse(x)
	}
	var head attempt.Head
	head.Save(&x.Request)
	for n := 1; ; n++ {
		x.Request.Body = body()
		err := attempt.Make(h.next, x)
		if !h.again(x, err, n) {
			if err != nil {
				return err
			}
			if err = h.takeResponse(x); err == nil || !h.again(x, err, n) {
				return err
			}
		}
		attempt.Forget(x)
		head.Restore(&x.Request)
	}
}

// again reports whether the expression wants another attempt after the nth, and it may be made.
func (p *policy) again(x *exchange.Exchange, err error, n int) bool {
	if n > maxRetries || x.Life.Err() != nil || errors.Is(err, errTooLong) || x.Response.Tunnel != nil ||
		x.Record.Sent && !x.Request.Idempotent() && !p.byMethod {
		return false
	}
	failed, kind, status := x.Record.Failed, x.Record.Kind, x.Response.Status
	if err != nil {
		failed, kind = true, exchange.KindOf(err)
		status = kind.Status()
	}
	if failed && attempt.IsClients(kind) {
		return false
	}
	return p.retry(outcome{n, status, x.Request.Method})
}

// takeRequest takes in the request's body, and returns what makes a body of it for each attempt.
func (p *policy) takeRequest(x *exchange.Exchange) (func() exchange.Body, error) {
	r := &x.Request
	tooLong := func() error {
		return exchange.BodyTooLarge.Withf("buffering: the request's body is over maxRequestBodyBytes, %d", p.request.max)
	}
	switch whole, ok := exchange.WholeOf(r.Body); {
	case r.Body == nil:
		return func() exchange.Body { return nil }, nil
	case p.request.forbid(max(r.Length, int64(len(whole)))):
		return nil, tooLong()
	case ok:
		return func() exchange.Body { return exchange.NewBytes(whole) }, nil
	}
	s := &store{}
	if err := s.fill(r.Body, p.request.memory, p.request.max); err == errTooLong {
		return nil, tooLong()
	} else if err != nil {
		return nil, err
	}
	x.Own(s)
	r.Continue = false // the client has been asked
	trailers := r.Trailer.Len() > 0
	if !trailers {
		r.Length = s.size()
	}
	return func() exchange.Body { return &reader{store: s, trailers: trailers} }, nil
}

// takeResponse takes in the response's body. After an error what the exchange holds of a response is void.
func (p *policy) takeResponse(x *exchange.Exchange) error {
	r := &x.Response
	if r.Body == nil || r.Tunnel != nil {
		return nil
	}
	tooLong := func() error {
		return exchange.Internal.Withf("buffering: the response's body is over maxResponseBodyBytes, %d: %w", p.response.max, errTooLong)
	}
	whole, ok := exchange.WholeOf(r.Body)
	switch {
	case ok && p.response.forbid(int64(len(whole))), !ok && p.response.forbid(r.Length):
		return tooLong()
	case ok: // that of HEAD and 304 is none, whatever length is announced
		return nil
	}
	s := &store{}
	if err := s.fill(r.Body, p.response.memory, p.response.max); err == errTooLong {
		return tooLong()
	} else if err != nil {
		return err
	}
	from := r.Body
	b := &reader{store: s, trailers: r.Trailer.Len() > 0, onClose: s.Free}
	if b.trailers { // which may be in memory of the body's
		b.onClose = func() { s.Free(); from.Close() }
	} else {
		from.Close()
		r.Length = s.size()
	}
	r.Body = b
	return nil
}
