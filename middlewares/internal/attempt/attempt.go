// Package attempt is what the middlewares share that have a request answered more than once.
package attempt

import "github.com/pergola-mesh/pergola/proxy/exchange"

// Head is a request as it was before the first attempt, but for its body: middlewares further in may
// edit it.
type Head struct {
	method, scheme    string
	host, path, query []byte // the exchange's memory, which stays as it is until it ends
	hasQuery          bool
	header            exchange.Header
	length            int64
}

// Save notes the request.
func (h *Head) Save(r *exchange.Request) {
	h.method, h.scheme, h.host, h.path, h.query, h.hasQuery = r.Method, r.Scheme, r.Host, r.Path, r.Query, r.HasQuery
	h.header.CopyFrom(&r.Header)
	h.length = r.Length
}

// Restore makes the request what it was.
func (h *Head) Restore(r *exchange.Request) {
	r.Method, r.Scheme, r.Host, r.Path, r.Query, r.HasQuery = h.method, h.scheme, h.host, h.path, h.query, h.hasQuery
	r.Header.CopyFrom(&h.header)
	r.Length = h.length
}

// Make has next answer, and adds what that took to the attempts made so far. The record's Sent is then
// about this attempt.
func Make(next exchange.Handler, x *exchange.Exchange) error {
	made := x.Record.Attempts
	x.Record.Attempts, x.Record.Sent = 0, false
	err := next.Handle(x)
	x.Record.Attempts += made
	return err
}

// Forget gives up the response, and what the record says of it.
func Forget(x *exchange.Exchange) {
	x.ResetResponse()
	r := &x.Record
	r.Failed, r.Kind, r.Error, r.Endpoint, r.UpstreamStatus, r.UpstreamDuration = false, 0, nil, nil, 0, 0
}

// IsClients reports whether the client's side of the exchange is broken, so that no attempt can help.
func IsClients(k exchange.Kind) bool {
	switch k {
	case exchange.BadRequest, exchange.HeaderTooLarge, exchange.TargetTooLong, exchange.BodyTooLarge,
		exchange.ClientTimeout, exchange.ClientAbort:
		return true
	}
	return false
}
