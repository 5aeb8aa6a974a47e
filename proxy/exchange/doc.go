// Package exchange is the protocol-neutral request and response that everything on the request
// path works on: codecs fill it, handlers answer it, middlewares look at it and change it.
//
// # The contract
//
// A Handler answers an Exchange: it returns once the response head is complete. The response body
// streams afterwards, pulled chunk by chunk by the client-side codec. So a response is a value: a
// middleware may look at it, replace it, or ask again before a byte of it has been sent. One
// goroutine owns an exchange; a handler may simply block.
//
//	func (h *addPrefix) Handle(x *exchange.Exchange) error {
//		x.Request.SetPath(h.prefix, x.Request.Path)
//		return h.next.Handle(x)
//	}
//
// # Lifetime
//
// An exchange and every []byte reached through it are valid until the codec has finished it, which
// is after Handle returned and the response body was read to its end. They are pooled: copy what
// must live longer. Neither is safe for use by two goroutines at once, unless said otherwise.
package exchange
