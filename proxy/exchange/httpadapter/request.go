package httpadapter

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// newRequest is the request of c as net/http would have it. It shares no memory with the exchange
// but the body.
func (c *call) newRequest(ctx context.Context) *http.Request {
	r := &c.x.Request
	ctx = context.WithValue(ctx, http.LocalAddrContextKey, net.Addr(net.TCPAddrFromAddrPort(c.x.Conn.Local)))
	request := &http.Request{
		Method:        r.Method,
		URL:           newURL(r),
		Proto:         r.Proto.String(),
		Header:        newHeader(r),
		Body:          http.NoBody,
		ContentLength: r.Length,
		Host:          string(r.Host),
		RemoteAddr:    c.x.Conn.Peer.String(),
		TLS:           c.x.Conn.TLS,
	}
	request.ProtoMajor, request.ProtoMinor, _ = http.ParseHTTPVersion(request.Proto)
	if request.URL.Path == "*" {
		request.RequestURI = "*"
	} else {
		request.RequestURI = request.URL.RequestURI()
	}
	if r.Body != nil {
		if r.Length < 0 {
			request.Trailer = http.Header{}
			if r.Proto <= exchange.HTTP11 {
				request.TransferEncoding = []string{"chunked"}
			}
		}
		c.body = &requestBody{from: r.Body, x: c.x, reader: exchange.NewReader(r.Body), trailer: request.Trailer}
		request.Body = c.body
	}
	return request.WithContext(ctx)
}

// newURL is the URL of an origin-form target: path and query.
func newURL(r *exchange.Request) *url.URL {
	u := &url.URL{RawQuery: string(r.Query), ForceQuery: r.HasQuery && len(r.Query) == 0}
	raw := string(r.Path)
	path, err := url.PathUnescape(raw)
	if err != nil { // not in a path of normal form
		path = raw
	}
	u.Path = path
	if u.EscapedPath() != raw {
		u.RawPath = raw
	}
	return u
}

// newHeader is a request's header with those fields that an exchange keeps elsewhere and net/http
// here.
func newHeader(r *exchange.Request) http.Header {
	h := make(http.Header, r.Header.Len()+2)
	copyHeader(h, &r.Header, "")
	if len(r.Upgrade) > 0 {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{string(r.Upgrade)}
	}
	if r.Continue {
		h["Expect"] = []string{"100-continue"}
	}
	if r.Body != nil && r.Length >= 0 {
		h["Content-Length"] = []string{strconv.FormatInt(r.Length, 10)}
	}
	return h
}

// copyHeader adds the fields of from to h, with a prefix to their names.
func copyHeader(h http.Header, from *exchange.Header, prefix string) {
	for name, value := range from.All() {
		key := prefix + textproto.CanonicalMIMEHeaderKey(string(name))
		h[key] = append(h[key], string(value))
	}
}

// requestBody is a request's body for the handler and whoever it lends it to, until the handler has
// returned.
type requestBody struct {
	from   exchange.Body
	closed atomic.Bool
	read   atomic.Bool // some of it was

	mu      sync.Mutex
	x       *exchange.Exchange // nil once the handler has returned
	reader  io.Reader
	trailer http.Header // to be filled at the end; nil when there can be none
}

// Read reads the body.
func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() || b.x == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	b.read.Store(true)
	n, err := b.reader.Read(p)
	if err == io.EOF && b.trailer != nil {
		copyHeader(b.trailer, &b.x.Request.Trailer, "")
		b.trailer = nil
	}
	return n, err
}

// Close makes reads fail, one that is under way included. What the client has yet to send is the
// codec's business otherwise.
func (b *requestBody) Close() error {
	b.closed.Store(true)
	if !b.mu.TryLock() {
		return b.from.Close()
	}
	b.mu.Unlock()
	return nil
}

// end lets go of the exchange, and stops whoever still reads.
func (b *requestBody) end() {
	b.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.x, b.reader = nil, nil
}
