package exchangetest

import (
	"io"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Result is what a client would have got.
type Result struct {
	Status          int
	Header, Trailer exchange.Header
	// Length is the announced length of the body, -1 when there was none.
	Length int64
	Body   string
	// Pieces are the parts the body came in.
	Pieces []string
	// Err is the handler's error; the rest is then what Rescue made of it.
	Err error
	// Cut is why the body was cut short; nil when it was whole.
	Cut error
}

// Do lets h answer x as a codec would: it rescues an error, drains the body and closes the response.
// A response with a tunnel is neither drained nor closed.
func Do(h exchange.Handler, x *exchange.Exchange) *Result {
	r := &Result{}
	if r.Err = h.Handle(x); r.Err != nil {
		exchange.Rescue(x, r.Err)
	}
	r.Status, r.Length = x.Response.Status, x.Response.Length
	r.Header.CopyFrom(&x.Response.Header)
	if x.Response.Tunnel != nil {
		return r
	}
	for body := x.Response.Body; body != nil; {
		p, err := body.Next()
		if err != nil {
			if err != io.EOF {
				r.Cut = err
			}
			break
		}
		r.Pieces = append(r.Pieces, string(p))
		r.Body += string(p)
	}
	r.Trailer.CopyFrom(&x.Response.Trailer)
	x.Response.Close()
	return r
}

// Get is the first value of a response field; empty when there is none.
func (r *Result) Get(name string) string { return string(r.Header.Get(exchange.NewName(name))) }

// Has reports whether the response has the field.
func (r *Result) Has(name string) bool { return r.Header.Has(exchange.NewName(name)) }

// Values are all values of a response field.
func (r *Result) Values(name string) []string {
	var values []string
	for v := range r.Header.Values(exchange.NewName(name)) {
		values = append(values, string(v))
	}
	return values
}

// Field is the first value of a request field; empty when there is none.
func Field(x *exchange.Exchange, name string) string {
	return string(x.Request.Header.Get(exchange.NewName(name)))
}

// Backend is a service for tests. It keeps what the last request was, and answers with what it is told.
type Backend struct {
	// Status is 200 when zero.
	Status int
	// Fields are the response's field lines.
	Fields []string
	// Body is the response's body: Pieces when set, else Text.
	Text   string
	Pieces []string
	// Err is returned instead of an answer.
	Err error
	// Before, when set, runs first.
	Before func(x *exchange.Exchange)

	// Calls counts the requests; the rest describes the last one.
	Calls             int
	Method, Host, URI string
	Header            exchange.Header
	Received          string
	ReceivedErr       error
	Last              *Body
}

// Handle notes the request, body included, and answers.
func (b *Backend) Handle(x *exchange.Exchange) error {
	b.Calls++
	x.Record.Attempts++
	x.Record.Sent = true
	if b.Before != nil {
		b.Before(x)
	}
	r := &x.Request
	b.Method, b.Host, b.URI = r.Method, string(r.Host), string(r.Path)
	if r.HasQuery {
		b.URI += "?" + string(r.Query)
	}
	b.Header.CopyFrom(&r.Header)
	received, err := ReadAll(nil, r.Body, 64<<20)
	b.Received, b.ReceivedErr = string(received), err
	if b.Err != nil {
		return b.Err
	}
	x.Response.Status = 200
	if b.Status != 0 {
		x.Response.Status = b.Status
	}
	x.Response.Proto = exchange.HTTP11
	Receive(&x.Response.Header, b.Fields...)
	switch {
	case len(b.Pieces) > 0:
		b.Last = Pieces(b.Pieces...)
		x.Response.Body, x.Response.Length = b.Last, -1
	case b.Text != "":
		x.Response.Body, x.Response.Length = exchange.NewBytes([]byte(b.Text)), int64(len(b.Text))
	default:
		x.Response.Length = 0
	}
	return nil
}

// Get is the first value of the last request's field; empty when there was none.
func (b *Backend) Get(name string) string { return string(b.Header.Get(exchange.NewName(name))) }

// Has reports whether the last request had the field.
func (b *Backend) Has(name string) bool { return b.Header.Has(exchange.NewName(name)) }
