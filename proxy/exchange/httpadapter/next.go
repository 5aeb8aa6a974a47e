package httpadapter

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// nextHandler shows the rest of a chain to a net/http middleware.
type nextHandler struct{ next exchange.Handler }

// ServeHTTP runs the rest of the chain with the request as the middleware left it, and copies the
// response to w. An error becomes a response here: net/http knows no other way to tell.
func (n nextHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := callOf(w, r)
	if c == nil || !c.w.enter() {
		panic(errors.New("httpadapter: next called with another request's context, after the response began, or after the middleware returned"))
	}
	defer c.following.Done()
	x := c.x
	c.adopt(r)
	if err := n.next.Handle(x); err != nil {
		exchange.Rescue(x, err)
	}
	if x.Response.Tunnel != nil && c.pass(w) {
		return
	}
	response := x.Response // its fields are now ours, and the exchange's are for what w makes of it
	x.Response = exchange.Response{Length: -1}
	defer response.Close()
	if response.Tunnel != nil {
		http.Error(w, http.StatusText(http.StatusBadGateway), http.StatusBadGateway)
		return
	}
	c.send(w, r, &response)
}

// callOf finds the call that a request belongs to, even when the middleware wrapped its writer or
// gave it another context.
func callOf(w http.ResponseWriter, r *http.Request) *call {
	if c, ok := r.Context().Value(callKey{}).(*call); ok {
		return c
	}
	if inner, ok := unwrap(w); ok {
		return inner.call
	}
	return nil
}

func unwrap(w http.ResponseWriter) (*writer, bool) {
	for {
		switch inner := w.(type) {
		case *writer:
			return inner, true
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return nil, false
		}
	}
}

// adopt takes over what the middleware changed in the request.
func (c *call) adopt(r *http.Request) {
	x := &c.x.Request
	x.Method = r.Method
	if r.Host != string(x.Host) {
		x.Host = []byte(r.Host)
	}
	if path := r.URL.EscapedPath(); path != string(x.Path) && path != "*" {
		x.SetPath(urlpath.Rewrite(nil, urlpath.Sanitize, []byte(path)))
	}
	if r.URL.RawQuery != string(x.Query) {
		x.Query = []byte(r.URL.RawQuery)
	}
	x.HasQuery = len(x.Query) > 0 || r.URL.ForceQuery
	if !maps.EqualFunc(newHeader(x), r.Header, slices.Equal) {
		h := r.Header.Clone()
		h.Del("Host")
		h.Del("Expect")
		if h.Get("Upgrade") == "" {
			x.Upgrade = nil
		}
		x.Header.Reset(nil)
		setHeader(&x.Header, h)
	}
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		x.Body, x.Length = nil, 0
	case r.Body != io.ReadCloser(c.body) || c.body.read.Load():
		x.Body, x.Length = &readerBody{reader: r.Body}, r.ContentLength
	}
}

// pass makes the response of the exchange, which is a tunnel, the middleware's as it is; a writer
// that cannot be seen through prevents that.
func (c *call) pass(w http.ResponseWriter) bool {
	inner, ok := unwrap(w)
	if !ok || inner != c.w {
		return false
	}
	inner.mu.Lock()
	defer inner.mu.Unlock()
	if inner.status != 0 {
		return false
	}
	setHeader(&c.x.Response.Header, inner.header)
	inner.over, c.passed = true, true
	return true
}

// send copies a response to w, as it comes.
func (c *call) send(w http.ResponseWriter, r *http.Request, response *exchange.Response) {
	h := w.Header()
	copyHeader(h, &response.Header, "")
	if response.Length >= 0 && response.Status != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.FormatInt(response.Length, 10)}
	}
	w.WriteHeader(response.Status)
	if response.Body == nil {
		return
	}
	_, whole := exchange.WholeOf(response.Body)
	controller := http.NewResponseController(w)
	if b, ok := response.Body.(exchange.Waiter); ok && b.Waits() {
		controller.Flush()
	}
	for {
		chunk, err := response.Body.Next()
		if err == io.EOF {
			break
		}
		if err == nil && r.Method != http.MethodHead {
			_, err = w.Write(chunk)
		}
		if err != nil {
			c.cut = err
			panic(http.ErrAbortHandler)
		}
		if !whole {
			controller.Flush() // the next chunk may be long in coming
		}
	}
	// Whoever serves the body puts the trailers where the exchange has them.
	trailer := &c.x.Response.Trailer
	copyHeader(h, trailer, http.TrailerPrefix)
	trailer.Reset(nil)
}

// readerBody is a body that a middleware put in place of the request's.
type readerBody struct {
	reader io.ReadCloser
	buffer []byte
}

// Next reads on.
func (b *readerBody) Next() ([]byte, error) {
	if b.buffer == nil {
		b.buffer = make([]byte, 16<<10)
	}
	for {
		n, err := b.reader.Read(b.buffer)
		if n > 0 {
			return b.buffer[:n], nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// Close closes the reader.
func (b *readerBody) Close() error { return b.reader.Close() }
