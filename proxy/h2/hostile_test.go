package h2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
	"github.com/pergola-mesh/pergola/proxy/h2/hpack"
)

// raw is a server that sends frames as a test says. It has one script for each connection, the last for
// all further ones.
type raw struct {
	t       testing.TB
	scripts []func(c *rawConn)
	mu      sync.Mutex
	conns   int
	all     sync.WaitGroup
}

// rawConn is the server's end of a connection.
type rawConn struct {
	t    testing.TB
	net  net.Conn
	enc  *hpack.Encoder
	buf  []byte
	r    frame.Reader
	seen []string // what came, in short
}

func newRaw(t testing.TB, scripts ...func(c *rawConn)) *raw {
	s := &raw{t: t, scripts: scripts}
	t.Cleanup(s.all.Wait)
	return s
}

// dial makes a connection without a network, on which the next script is run.
func (s *raw) dial(context.Context) (net.Conn, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	ours, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return nil, err
	}
	theirs, err := ln.Accept()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	script := s.scripts[min(s.conns, len(s.scripts)-1)]
	s.conns++
	s.mu.Unlock()
	s.all.Go(func() {
		defer theirs.Close()
		theirs.SetDeadline(time.Now().Add(20 * time.Second))
		c := &rawConn{t: s.t, net: theirs, enc: hpack.NewEncoder(0)}
		preface := make([]byte, len(frame.Preface))
		if _, err := io.ReadFull(theirs, preface); err != nil || string(preface) != frame.Preface {
			s.t.Errorf("the preface is %q: %v", preface, err)
			return
		}
		script(c)
	})
	return ours, nil
}

// read is the next frame; false at the end.
func (c *rawConn) read() (frame.Frame, bool) {
	for {
		f, n, _, err := c.r.Next(c.buf)
		if err != nil {
			c.t.Errorf("the pool sends %v", err)
			return f, false
		}
		if n > 0 {
			c.buf = c.buf[n:]
			c.seen = append(c.seen, fmt.Sprintf("%d/%d", f.Type, f.Stream))
			return f, true
		}
		var more [16 << 10]byte
		n, err = c.net.Read(more[:])
		if n == 0 && err != nil {
			return f, false
		}
		c.buf = append(bytes.Clone(c.buf), more[:n]...)
	}
}

// until is the next frame of a type; false when there is none any more.
func (c *rawConn) until(t frame.Type) (frame.Frame, bool) {
	for {
		f, ok := c.read()
		if !ok || f.Type == t {
			return f, ok
		}
	}
}

func (c *rawConn) send(p []byte) bool {
	_, err := c.net.Write(p)
	return err == nil
}

// greet sends SETTINGS.
func (c *rawConn) greet(settings ...frame.Setting) { c.send(frame.AppendSettings(nil, settings...)) }

// head is a response head.
func (c *rawConn) head(stream uint32, status int, ends bool, lines ...string) []byte {
	out := frame.BeginHeaders(nil)
	out = c.enc.Status(c.enc.Begin(out), status)
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		out = c.enc.Field(out, exchange.NewName(name), value)
	}
	return frame.EndHeaders(out, 0, stream, ends, frame.MinMaxSize)
}

// serve answers every request with 200 and body.
func (c *rawConn) serve(body string) {
	for {
		f, ok := c.until(frame.Headers)
		if !ok {
			return
		}
		c.send(frame.AppendData(c.head(f.Stream, 200, false), f.Stream, []byte(body), true))
	}
}

func (c *rawConn) drain() {
	for {
		if _, ok := c.read(); !ok {
			return
		}
	}
}

// answering is a script that sends what is made for the first request, and then reads to the end.
func answering(make func(c *rawConn, stream uint32) []byte) func(*rawConn) {
	return func(c *rawConn) {
		c.greet()
		if f, ok := c.until(frame.Headers); ok && c.send(make(c, f.Stream)) {
			c.drain()
		}
	}
}

// TestBadServers: what a server may not do ends its stream or its connection, and is its fault.
func TestBadServers(t *testing.T) {
	raw := func(size int, typ frame.Type, flags frame.Flags, stream uint32, payload string) []byte {
		return append(frame.AppendHead(nil, size, typ, flags, stream), payload...)
	}
	for _, test := range []struct {
		name   string
		script func(*rawConn)
		kind   exchange.Kind
		says   string
		later  bool // the head is fine
		keeps  bool // and the connection
	}{
		{name: "HTTP/1.1", script: func(c *rawConn) { c.send([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); c.drain() }, kind: exchange.UpstreamProtocol, says: "use http://"},
		{name: "nothing", script: func(c *rawConn) { c.read() }, kind: exchange.UpstreamReset},
		{name: "no settings", script: func(c *rawConn) { c.send(c.head(1, 200, true)); c.drain() }, kind: exchange.UpstreamProtocol, says: "preface"},
		{name: "push", script: answering(func(c *rawConn, s uint32) []byte { return raw(5, frame.PushPromise, 4, s, "\x00\x00\x00\x02\x88") }), kind: exchange.UpstreamProtocol, says: "push_promise"},
		{name: "push allowed", script: func(c *rawConn) {
			c.greet(frame.Setting{ID: frame.EnablePush, Value: 1})
			c.drain()
		}, kind: exchange.UpstreamProtocol, says: "settings_value"},
		{name: "a stream of its own", script: answering(func(c *rawConn, s uint32) []byte { return c.head(2, 200, true) }), kind: exchange.UpstreamProtocol, says: "stream_idle"},
		{name: "a stream not begun", script: answering(func(c *rawConn, s uint32) []byte { return frame.AppendRSTStream(nil, s+2, 0) }), kind: exchange.UpstreamProtocol, says: "stream_idle"},
		{name: "data first", script: answering(func(c *rawConn, s uint32) []byte { return frame.AppendData(nil, s, []byte("x"), true) }), kind: exchange.UpstreamProtocol, says: "data_before_head", keeps: true},
		{name: "no status", script: answering(func(c *rawConn, s uint32) []byte { return raw(1, frame.Headers, 5, s, "\x90") }), kind: exchange.UpstreamProtocol, says: "pseudo_missing", keeps: true},
		{name: "101", script: answering(func(c *rawConn, s uint32) []byte { return c.head(s, 101, false) }), kind: exchange.UpstreamProtocol, says: "status", keeps: true},
		{name: "connection field", script: answering(func(c *rawConn, s uint32) []byte { return c.head(s, 200, true, "connection: close") }), kind: exchange.UpstreamProtocol, says: "connection_field", keeps: true},
		{name: "line break in a value", script: answering(func(c *rawConn, s uint32) []byte {
			return raw(8, frame.Headers, 5, s, "\x88\x00\x01a\x03b\r\n")
		}), kind: exchange.UpstreamProtocol, says: "field_value", keeps: true},
		{name: "two lengths", script: answering(func(c *rawConn, s uint32) []byte {
			return c.head(s, 200, true, "content-length: 0", "content-length: 1")
		}), kind: exchange.UpstreamProtocol, says: "content_length", keeps: true},
		{name: "less than promised", script: answering(func(c *rawConn, s uint32) []byte {
			return frame.AppendData(c.head(s, 200, false, "content-length: 5"), s, []byte("four"), true)
		}), kind: exchange.UpstreamProtocol, says: "content_length_body", later: true, keeps: true},
		{name: "more than promised", script: answering(func(c *rawConn, s uint32) []byte {
			return frame.AppendData(c.head(s, 200, false, "content-length: 3"), s, []byte("four"), true)
		}), kind: exchange.UpstreamProtocol, says: "content_length_body", later: true, keeps: true},
		{name: "204 with a body", script: answering(func(c *rawConn, s uint32) []byte {
			return frame.AppendData(c.head(s, 204, false), s, []byte("four"), true)
		}), kind: exchange.UpstreamProtocol, says: "content_length_body", later: true, keeps: true},
		{name: "trailers that do not end", script: answering(func(c *rawConn, s uint32) []byte {
			return append(c.head(s, 200, false), raw(4, frame.Headers, 4, s, "\x00\x01a\x00")...)
		}), kind: exchange.UpstreamProtocol, says: "trailer_end", later: true, keeps: true},
		{name: "pseudo-headers in trailers", script: answering(func(c *rawConn, s uint32) []byte {
			return append(c.head(s, 200, false), c.head(s, 200, true)...)
		}), kind: exchange.UpstreamProtocol, says: "pseudo_unknown", later: true, keeps: true},
		{name: "reset", script: answering(func(c *rawConn, s uint32) []byte { return frame.AppendRSTStream(nil, s, frame.InternalError) }), kind: exchange.UpstreamReset, says: "INTERNAL_ERROR", keeps: true},
		{name: "reset later", script: answering(func(c *rawConn, s uint32) []byte {
			return frame.AppendRSTStream(frame.AppendData(c.head(s, 200, false), s, []byte("x"), false), s, frame.Cancel)
		}), kind: exchange.UpstreamReset, says: "CANCEL", later: true, keeps: true},
		{name: "cut", script: func(c *rawConn) {
			c.greet()
			c.until(frame.Headers)
			c.send(frame.AppendData(c.head(1, 200, false), 1, []byte("x"), false))
		}, kind: exchange.UpstreamReset, later: true},
		{name: "interim flood", script: answering(func(c *rawConn, s uint32) []byte {
			var out []byte
			for range 20 {
				out = append(out, c.head(s, 103, false)...)
			}
			return out
		}), kind: exchange.UpstreamProtocol, says: "interim_flood", keeps: true},
		{name: "interim response that ends", script: answering(func(c *rawConn, s uint32) []byte { return c.head(s, 103, true) }), kind: exchange.UpstreamProtocol, says: "interim_end", keeps: true},
		{name: "bad compression", script: answering(func(c *rawConn, s uint32) []byte { return raw(1, frame.Headers, 5, s, "\xff") }), kind: exchange.UpstreamProtocol, says: "compression"},
		{name: "header bomb", script: answering(func(c *rawConn, s uint32) []byte {
			big := "\x88\x40\x01a\x7f\xa1\x1e" + strings.Repeat("b", 4000) + strings.Repeat("\xbe", 10000)
			return raw(len(big), frame.Headers, 5, s, big)
		}), kind: exchange.UpstreamProtocol, says: "header_size", keeps: true},
		{name: "continuation flood", script: answering(func(c *rawConn, s uint32) []byte {
			out := raw(1, frame.Headers, 0, s, "\x88")
			for range 5000 {
				out = append(out, raw(0, frame.Continuation, 0, s, "")...)
			}
			return out
		}), kind: exchange.UpstreamProtocol, says: "flood"},
		{name: "continuation without end", script: answering(func(c *rawConn, s uint32) []byte {
			out := raw(1, frame.Headers, 0, s, "\x88")
			for range 10 {
				out = append(out, raw(16000, frame.Continuation, 0, s, strings.Repeat("\x90", 16000))...)
			}
			return out
		}), kind: exchange.UpstreamProtocol, says: "header_block_size"},
		{name: "ping flood", script: answering(func(c *rawConn, s uint32) []byte {
			return bytes.Repeat(frame.AppendPing(nil, false, [8]byte{}), 5000)
		}), kind: exchange.UpstreamProtocol, says: "flood"},
		{name: "settings flood", script: answering(func(c *rawConn, s uint32) []byte {
			return bytes.Repeat(frame.AppendSettings(nil), 5000)
		}), kind: exchange.UpstreamProtocol, says: "flood"},
		{name: "empty data flood", script: answering(func(c *rawConn, s uint32) []byte {
			return append(c.head(s, 200, false), bytes.Repeat(frame.AppendData(nil, s, nil, false), 5000)...)
		}), kind: exchange.UpstreamProtocol, says: "flood", later: true},
		{name: "window overflow", script: answering(func(c *rawConn, s uint32) []byte { return frame.AppendWindowUpdate(nil, 0, frame.MaxWindow) }), kind: exchange.UpstreamProtocol, says: "window_overflow"},
		{name: "window overflow of the stream", script: answering(func(c *rawConn, s uint32) []byte { return frame.AppendWindowUpdate(nil, s, frame.MaxWindow) }), kind: exchange.UpstreamProtocol, says: "window_overflow", keeps: true},
		{name: "more than the window", script: answering(func(c *rawConn, s uint32) []byte {
			out := c.head(s, 200, false)
			for range 5 {
				out = frame.AppendData(out, s, make([]byte, 16000), false)
			}
			return out
		}), kind: exchange.UpstreamProtocol, says: "window", later: true, keeps: true},
		{name: "too large a frame", script: answering(func(c *rawConn, s uint32) []byte { return frame.AppendData(nil, s, make([]byte, 1<<15), false) }), kind: exchange.UpstreamProtocol, says: "frame_too_large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkLeaks(t)
			s := newRaw(t, test.script)
			p := newTestPool(t, PoolConfig{Dial: s.dial})
			x := exchangetest.Request("GET", "/")
			err := p.Handle(x)
			if test.later {
				if err != nil && !(strings.Contains(err.Error(), test.says) && test.says != "") {
					t.Fatalf("no head: %v", err)
				}
				if err == nil && x.Response.Body == nil {
					t.Fatal("no body")
				}
				if err == nil {
					_, err = readSlowly(x)
				}
			}
			if err == nil || exchange.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v", err)
			}
			x.Response.Close()
			x.Free()
			if kept := len(*p.conns.Load()) > 0; test.keeps && !kept {
				t.Error("the connection is gone")
			} else if !test.keeps {
				waittest.Until(t, "the connection goes", func() bool { return len(*p.conns.Load()) == 0 })
			}
			p.Close()
		})
	}
}

// readSlowly reads a response's body once all of it has had time to come.
func readSlowly(x *exchange.Exchange) ([]byte, error) {
	k := x.Response.Body.(*call)
	for range 100 {
		k.u.mu.Lock()
		done := k.err != nil || k.ended
		k.u.mu.Unlock()
		if done {
			break
		}
		select {
		case <-k.came:
		case <-time.After(20 * time.Millisecond):
		}
	}
	wake(k.came)
	return exchangetest.ReadAll(nil, x.Response.Body, 1<<30)
}

// TestRetries: what the server has not looked at is asked again elsewhere; what it may have is not.
func TestRetries(t *testing.T) {
	good := func(c *rawConn) { c.greet(); c.serve("good") }
	refuse := answering(func(c *rawConn, s uint32) []byte { return frame.AppendRSTStream(nil, s, frame.RefusedStream) })
	leave := answering(func(c *rawConn, s uint32) []byte { return frame.AppendGoAway(nil, 0, frame.NoError, "") })
	die := func(c *rawConn) { c.greet(); c.until(frame.Headers) }
	// dieLater answers once, and then ends without an answer.
	dieLater := func(c *rawConn) {
		c.greet()
		f, _ := c.until(frame.Headers)
		c.send(c.head(f.Stream, 200, true))
		c.until(frame.Headers)
	}
	for _, test := range []struct {
		name   string
		bad    func(*rawConn)
		method string
		body   any
		warm   bool
		again  bool
		sent   bool
	}{
		{"refused", refuse, "POST", []byte("body"), false, true, true},
		{"refused, streamed body", refuse, "POST", exchangetest.Pieces("bo", "dy"), false, false, false},
		{"left", leave, "POST", []byte("body"), false, true, true},
		{"left, streamed body", leave, "POST", exchangetest.Pieces("bo", "dy"), false, false, false},
		{"died at once", die, "GET", nil, false, false, true},
		{"died when used again", dieLater, "GET", nil, true, true, true},
		{"died when used again, with a body in memory", dieLater, "PUT", []byte("body"), true, true, true},
		{"died when used again, not idempotent", dieLater, "POST", []byte("body"), true, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkLeaks(t)
			s := newRaw(t, test.bad, good)
			p := newTestPool(t, PoolConfig{Dial: s.dial})
			if test.warm {
				if _, err := ask(p, exchangetest.Request("GET", "/")); err != nil {
					t.Fatal(err)
				}
			}
			x := exchangetest.Request(test.method, "/")
			if test.body != nil {
				x = exchangetest.Request(test.method, "/", test.body)
			}
			got, err := ask(p, x)
			if test.again != (err == nil) || err == nil && got != "good" || err != nil && exchange.KindOf(err) != exchange.UpstreamReset {
				t.Errorf("%q %v", got, err)
			}
			if x.Record.Sent != test.sent {
				t.Errorf("sent: %v", x.Record.Sent)
			}
			p.Close()
		})
	}
}

// TestGoAwayLetsOthersEnd: what the server has begun to answer goes on, what comes goes elsewhere.
func TestGoAwayLetsOthersEnd(t *testing.T) {
	checkLeaks(t)
	goOn := make(chan struct{})
	s := newRaw(t, func(c *rawConn) {
		c.greet()
		f, _ := c.until(frame.Headers)
		c.send(frame.AppendGoAway(c.head(f.Stream, 200, false), f.Stream, frame.NoError, ""))
		<-goOn
		c.send(frame.AppendData(nil, f.Stream, []byte("old"), true))
		c.drain()
	}, func(c *rawConn) { c.greet(); c.serve("new") })
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	x := exchangetest.Request("GET", "/")
	if err := p.Handle(x); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(p, exchangetest.Request("GET", "/")); err != nil || got != "new" {
		t.Fatal(got, err)
	}
	close(goOn)
	if got, err := exchangetest.ReadAll(nil, x.Response.Body, 100); err != nil || string(got) != "old" {
		t.Fatal(string(got), err)
	}
	x.Response.Close()
	x.Free()
	p.Close()
}

// TestServerStopsRequest: an answer that is complete counts, though the server wants no more of the body.
func TestServerStopsRequest(t *testing.T) {
	checkLeaks(t)
	s := newRaw(t, answering(func(c *rawConn, s uint32) []byte {
		return frame.AppendRSTStream(frame.AppendData(c.head(s, 413, false), s, []byte("enough"), true), s, frame.NoError)
	}))
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	body := newPipe()
	x := exchangetest.Request("POST", "/", exchange.Body(body))
	if got, err := ask(p, x); err != nil || got != "enough" || x.Response.Status != 413 {
		t.Fatal(got, err)
	}
	<-body.gone
	p.Close()
}

// TestServerGoesOnBehindItsEnd: what a server sends behind the end of its answer is none of that, and the rest of
// the request is not sent to it. RFC 9113 §5.1.
func TestServerGoesOnBehindItsEnd(t *testing.T) {
	for name, more := range map[string]func(c *rawConn, s uint32) []byte{
		"data":     func(c *rawConn, s uint32) []byte { return frame.AppendData(nil, s, []byte(" and more"), false) },
		"trailers": func(c *rawConn, s uint32) []byte { return trailers(c, s, "x-sum: no") },
	} {
		t.Run(name, func(t *testing.T) {
			checkLeaks(t)
			codes := make(chan frame.Code, 1)
			s := newRaw(t, func(c *rawConn) {
				c.greet()
				f, _ := c.until(frame.Headers)
				out := frame.AppendData(c.head(f.Stream, 200, false), f.Stream, []byte("all"), false)
				c.send(append(append(out, trailers(c, f.Stream, "x-sum: yes")...), more(c, f.Stream)...))
				if f, ok := c.until(frame.RSTStream); ok {
					codes <- f.Code()
				}
				close(codes)
				c.drain()
			})
			p := newTestPool(t, PoolConfig{Dial: s.dial})
			x := exchangetest.Request("POST", "/", exchange.Body(newPipe()))
			if err := p.Handle(x); err != nil {
				t.Fatal(err)
			}
			if code := <-codes; code != frame.StreamClosed {
				t.Errorf("the server is told %v", code)
			}
			got, err := readSlowly(x)
			if sum := string(x.Response.Trailer.Get(exchange.NewName("X-Sum"))); string(got) != "all" || err != nil || sum != "yes" {
				t.Errorf("%q, %v, %q", got, err, sum)
			}
			x.Response.Close()
			x.Free()
			p.Close()
		})
	}
}

// trailers is a trailer section.
func trailers(c *rawConn, stream uint32, lines ...string) []byte {
	out := c.enc.Begin(frame.BeginHeaders(nil))
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		out = c.enc.Field(out, exchange.NewName(name), value)
	}
	return frame.EndHeaders(out, 0, stream, true, frame.MinMaxSize)
}

// TestRequestBodyFails: a body that cannot be had resets the stream, and its reason is told.
func TestRequestBodyFails(t *testing.T) {
	checkLeaks(t)
	reset := make(chan frame.Code, 1)
	s := newRaw(t, func(c *rawConn) {
		c.greet()
		if f, ok := c.until(frame.RSTStream); ok {
			reset <- f.Code()
		}
		c.drain()
	})
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	cause := errors.New("the client is gone")
	body := exchangetest.Pieces("some")
	body.Err = exchange.ClientAbort.With(cause)
	if _, err := ask(p, exchangetest.Request("POST", "/", exchange.Body(body))); !errors.Is(err, cause) {
		t.Fatal(err)
	}
	if code := <-reset; code != frame.Cancel {
		t.Error(code)
	}
	p.Close()
}

// TestTimeouts: a server that does not answer, does not go on, or takes nothing is given up on.
func TestTimeouts(t *testing.T) {
	quiet := func(c *rawConn) { c.greet(); c.drain() }
	for _, test := range []struct {
		name   string
		script func(*rawConn)
		config PoolConfig
		body   any
		kind   exchange.Kind
	}{
		{"head", quiet, PoolConfig{HeadTimeout: 50 * time.Millisecond}, nil, exchange.UpstreamTimeout},
		{"head behind a body", quiet, PoolConfig{HeadTimeout: 50 * time.Millisecond}, exchangetest.Pieces("a"), exchange.UpstreamTimeout},
		{"body", answering(func(c *rawConn, s uint32) []byte { return c.head(s, 200, false) }), PoolConfig{BodyTimeout: 50 * time.Millisecond}, nil, exchange.UpstreamTimeout},
		{"window", quiet, PoolConfig{SendTimeout: 50 * time.Millisecond}, make([]byte, 100_000), exchange.UpstreamTimeout},
		{"ping", func(c *rawConn) { c.greet(); c.drain() }, PoolConfig{PingAfter: 50 * time.Millisecond, PingTimeout: 50 * time.Millisecond}, nil, exchange.UpstreamReset},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newRaw(t, test.script)
			test.config.Dial = s.dial
			p := newTestPool(t, test.config)
			x := exchangetest.Request("GET", "/")
			if test.body != nil {
				x = exchangetest.Request("POST", "/", test.body)
			}
			if _, err := ask(p, x); exchange.KindOf(err) != test.kind {
				t.Error(err)
			}
			p.Close()
		})
	}
}

// TestIdle: an unused connection is closed, politely, and a pool that is closed keeps none.
func TestIdle(t *testing.T) {
	checkLeaks(t)
	left := make(chan bool, 3)
	script := func(c *rawConn) {
		c.greet()
		f, _ := c.until(frame.Headers)
		c.send(c.head(f.Stream, 200, true))
		_, ok := c.until(frame.GoAway)
		left <- ok
		c.drain()
	}
	for _, config := range []PoolConfig{{IdleTimeout: time.Millisecond}, {MaxIdle: -1}, {}} {
		s := newRaw(t, script)
		config.Dial = s.dial
		p := newTestPool(t, config)
		if config.IdleTimeout == 0 && config.MaxIdle == 0 {
			p.Close()
		}
		if _, err := ask(p, exchangetest.Request("GET", "/")); err != nil {
			t.Fatal(err)
		}
		if !<-left {
			t.Error("it ended without GOAWAY")
		}
		p.Close()
	}
}

// TestWindowShrinks: the end of a request needs no window, not even one that has become negative.
// RFC 9113 §6.9.2.
func TestWindowShrinks(t *testing.T) {
	checkLeaks(t)
	shrunk := make(chan struct{})
	s := newRaw(t, func(c *rawConn) {
		c.greet()
		f, _ := c.until(frame.Data)
		c.greet(frame.Setting{ID: frame.InitialWindowSize, Value: 0})
		c.until(frame.Settings) // the second answer: that to the first came before the data, or comes now
		c.send(frame.AppendPing(nil, false, [8]byte{}))
		c.until(frame.Ping)
		close(shrunk)
		for !f.Ends() {
			var ok bool
			if f, ok = c.until(frame.Data); !ok {
				t.Error("the request does not end")
				return
			}
		}
		c.send(c.head(f.Stream, 200, true))
		c.drain()
	})
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	body := newPipe()
	go func() {
		body.in <- []byte("abc")
		<-shrunk
		close(body.in)
	}()
	if _, err := ask(p, exchangetest.Request("POST", "/", exchange.Body(body))); err != nil {
		t.Fatal(err)
	}
	p.Close()
}
