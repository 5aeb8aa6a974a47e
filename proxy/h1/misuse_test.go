package h1

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// Handlers that panic or break their contract: whatever they do, a client is never given bytes that it
// takes for another response, and the connection's memory is not used for two clients.

// stutter is a body that yields its pieces, empty ones too, and then err.
type stutter struct {
	pieces []string
	err    error
	closed *int
}

func (s *stutter) Next() ([]byte, error) {
	if len(s.pieces) == 0 {
		return nil, s.err
	}
	p := s.pieces[0]
	s.pieces = s.pieces[1:]
	if p == "panic" {
		panic("in a body")
	}
	return []byte(p), nil
}

func (s *stutter) Close() error {
	if s.closed != nil {
		*s.closed++
	}
	return nil
}

const twoRequests = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

// second answers the second request in the ordinary way, the first by f.
func second(f func(x *exchange.Exchange) error) exchange.Handler {
	return exchange.HandlerFunc(func(x *exchange.Exchange) error {
		if string(x.Request.Path) == "/2" {
			x.Respond(200, "", []byte("second"))
			x.Response.Header.Add(exchange.Date, "d")
			return nil
		}
		x.Response.Header.Add(exchange.Date, "d")
		return f(x)
	})
}

func TestMisuse(t *testing.T) {
	const answer2 = "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecond"
	const failed = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n"
	for name, tt := range map[string]struct {
		handle func(x *exchange.Exchange) error
		first  string // beginning of what the client gets
		goesOn bool   // the second request is answered too; otherwise the connection is broken off
	}{
		"panic":                {func(x *exchange.Exchange) error { panic("in a handler") }, failed, true},
		"panic of the runtime": {func(x *exchange.Exchange) error { return []error{}[x.Response.Status] }, failed, true},
		"error":                {func(x *exchange.Exchange) error { return errors.New("plain") }, failed, true},
		"no response":          {func(x *exchange.Exchange) error { return nil }, failed, true},
		"an interim status":    {func(x *exchange.Exchange) error { x.Response.Status = 103; return nil }, failed, true},
		"101 without tunnel":   {func(x *exchange.Exchange) error { x.Response.Status = 101; return nil }, failed, true},
		"a tunnel nobody asked for": {func(x *exchange.Exchange) error {
			x.Response.Status, x.Response.Tunnel = 101, noTunnel{}
			return nil
		}, failed, true},
		"a status too large": {func(x *exchange.Exchange) error { x.Response.Status = 1000; return nil }, failed, true},
		"a negative status":  {func(x *exchange.Exchange) error { x.Response.Status = -1; return nil }, failed, true},
		"length over bytes": {func(x *exchange.Exchange) error {
			x.Respond(200, "", []byte("abc"))
			x.Response.Length = 10
			return nil
		}, failed, true},
		"length under bytes": {func(x *exchange.Exchange) error {
			x.Respond(200, "", []byte("abc"))
			x.Response.Length = 1
			return nil
		}, failed, true},
		"length without body": {func(x *exchange.Exchange) error {
			x.Response.Status, x.Response.Length = 200, 10
			return nil
		}, failed, true},
		"length over stream": {func(x *exchange.Exchange) error {
			x.Response.Status, x.Response.Length = 200, 10
			x.Response.Body = &stutter{pieces: []string{"abc"}, err: io.EOF}
			return nil
		}, "HTTP/1.1 200 OK\r\n", false},
		"length under stream": {func(x *exchange.Exchange) error {
			x.Response.Status, x.Response.Length = 200, 2
			x.Response.Body = &stutter{pieces: []string{"a", "bc"}, err: io.EOF}
			return nil
		}, "HTTP/1.1 200 OK\r\n", false},
		"empty pieces": {func(x *exchange.Exchange) error {
			x.Response.Status, x.Response.Length = 200, -1
			x.Response.Body = &stutter{pieces: []string{"", "abc", "", "de", ""}, err: io.EOF}
			return nil
		}, "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", true},
		"a body that fails at once": {func(x *exchange.Exchange) error {
			x.Response.Status, x.Response.Length = 200, -1
			x.Response.Body = &stutter{err: exchange.UpstreamReset}
			return nil
		}, "HTTP/1.1 502 ", true},
		"a body that fails later": {func(x *exchange.Exchange) error {
			x.Response.Status, x.Response.Length = 200, -1
			x.Response.Body = &stutter{pieces: []string{"abc"}, err: exchange.UpstreamReset}
			return nil
		}, "HTTP/1.1 200 ", false},
		"a body that panics": {func(x *exchange.Exchange) error {
			x.Response.Status, x.Response.Length = 200, -1
			x.Response.Body = &stutter{pieces: []string{"abc", "panic"}}
			return nil
		}, "HTTP/1.1 200 ", false},
		"framing of its own": {func(x *exchange.Exchange) error {
			x.Respond(200, "", []byte("abc"))
			x.Response.Header.Add(exchange.Date, "d")
			x.Response.Header.Add(exchange.ContentLength, "1")
			x.Response.Header.Add(exchange.TransferEncoding, "chunked")
			x.Response.Header.Add(exchange.Connection, "close")
			return nil
		}, "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 3\r\n\r\nabc", true},
		"a body for 204": {func(x *exchange.Exchange) error {
			x.Respond(204, "", []byte("abc"))
			x.Response.Header.Add(exchange.Date, "d")
			return nil
		}, "HTTP/1.1 204 No Content\r\nDate: d\r\n\r\n", true},
		"responded after a body": {func(x *exchange.Exchange) error {
			x.Response.Status, x.Response.Body = 200, &stutter{pieces: []string{"abc"}, err: io.EOF}
			x.Respond(403, "", nil)
			x.Response.Header.Add(exchange.Date, "d")
			return nil
		}, "HTTP/1.1 403 Forbidden\r\nDate: d\r\nContent-Length: 0\r\n\r\n", true},
		"a line break in a value": {func(x *exchange.Exchange) error {
			x.Respond(200, "", nil)
			x.Response.Header.Add(exchange.Date, "d\r\nSet-Cookie: a=b\r\n\r\nHTTP/1.1 200 OK")
			return nil
		}, "HTTP/1.1 200 OK\r\nDate: d  Set-Cookie: a=b    HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, second(tt.handle), nil)
			out, err := r.send(twoRequests)
			if !strings.HasPrefix(out, tt.first) && !(out == "" && !tt.goesOn) {
				t.Errorf("got %q, %v", out, err)
			}
			if strings.HasSuffix(out, answer2) != tt.goesOn || tt.goesOn == (err != nil) {
				t.Errorf("goes on wanted %v: %q, %v", tt.goesOn, out, err)
			}
			if !tt.goesOn && strings.HasSuffix(out, "\r\n0\r\n\r\n") {
				t.Errorf("it ends as if complete: %q", out)
			}
		})
	}
}

type noTunnel struct{ exchange.Tunnel }

func (noTunnel) Close() error { return nil }

// After a panic outside the handler all that the exchange held is given up, and nothing of it is pooled.
func TestPanicsReleaseEverything(t *testing.T) {
	for name, breakIt := range map[string]func(r *rig, next exchange.Handler) exchange.Handler{
		"body": func(r *rig, next exchange.Handler) exchange.Handler {
			return exchange.HandlerFunc(func(x *exchange.Exchange) error {
				err := next.Handle(x)
				x.Response.Body = &panicky{x.Response.Body}
				return err
			})
		},
		"observer": func(r *rig, next exchange.Handler) exchange.Handler {
			r.server.Observer = observer(func(*exchange.Exchange) { panic("in an observer") })
			return next
		},
		"handler": func(r *rig, next exchange.Handler) exchange.Handler {
			return exchange.HandlerFunc(func(x *exchange.Exchange) error {
				if err := next.Handle(x); err != nil {
					return err
				}
				panic("after the response")
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil, echoUpstream)
			r.server.Handler = breakIt(r, r.pool)
			for range 3 {
				c := r.dial()
				io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
				c.CloseWrite()
				io.ReadAll(c)
			}
			waittest.Until(t, "the connections end", func() bool { return r.server.Active() == 0 })
			waittest.Until(t, "the upstream connections end", func() bool { return r.pool.conns.Load() == 0 })
		})
	}
}

// panicky is a body that panics after the first piece.
type panicky struct{ exchange.Body }

func (p *panicky) Next() ([]byte, error) { panic("in a body") }

// A request's body may be closed at any time without harm to the connection when all of it is there.
func TestClosingAWholeRequestBody(t *testing.T) {
	r := newRig(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Request.Body.Close()
		if p, err := x.Request.Body.Next(); err == nil && len(p) > 0 {
			t.Errorf("a closed body yields %q", p)
		}
		x.Request.Body.Close()
		x.Respond(200, "", nil)
		return nil
	}), nil)
	c := r.dial()
	br := bufio.NewReader(c)
	for i := range 3 {
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
		if head, err := readHead(br); err != nil || strings.Contains(head, "close") {
			t.Fatalf("request %d: %v %q", i, err, head)
		}
	}
}

// A request that is refused half-way through its body is told so, though it goes on sending.
func TestRefusalReachesAClientThatSends(t *testing.T) {
	r := newRig(t, nil, echoUpstream)
	r.server.Handler = exchange.HandlerFunc(func(x *exchange.Exchange) error {
		if string(x.Request.Path) == "/read" {
			if _, err := exchangetest.ReadAll(nil, x.Request.Body, 1<<20); err != nil {
				return err
			}
		}
		return exchange.Forbidden
	})
	junk := strings.Repeat("x", 100<<10)
	for name, tt := range map[string]struct{ request, status string }{
		"a chunk that is none":                        {"POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n" + junk, "400"},
		"a body nobody reads, last on its connection": {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 102400\r\nConnection: close\r\n\r\n" + junk, "403"},
		"a chunked body nobody reads":                 {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n19000\r\n" + junk + "\r\n0\r\n\r\n", "403"},
		"a bad head":                                  {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: x\r\n\r\n" + junk, "400"},
	} {
		for range 5 { // a reset would overtake the answer now and then
			c := r.dial()
			go io.WriteString(c, tt.request)
			out, err := io.ReadAll(c)
			if err != nil || !strings.HasPrefix(string(out), "HTTP/1.1 "+tt.status) || !strings.Contains(string(out), "Connection: close") {
				t.Errorf("%s: %v %.100q", name, err, out)
			}
		}
	}
}
