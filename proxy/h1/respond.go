package h1

import (
	"io"
	"strconv"

	"github.com/pergola-mesh/pergola/internal/httpdate"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// respond sends the response of x, whose head is complete, and settles whether the connection goes
// on. A body that breaks off breaks the connection off, so that nobody can take it for whole.
func (c *conn1) respond(x *exchange.Exchange) {
	ws, p := c.ws, &x.Response
	if err := c.life.Err(); err != nil {
		c.cut(x, err) // nobody is there to read it, or is to
		return
	}
	c.settle(x)
	if ws.f.expect {
		c.informing.Lock()
		c.answered = true
		c.informing.Unlock()
	}
	if p.Tunnel != nil {
		c.tunnel(x)
		return
	}
	ws.out = takeBuffer()
	chunked := c.frame(x)
	body, bare := p.Body, fields.Bodiless(x.Request.Method, p.Status)
	if bare {
		body = nil
	}
	c.enter(writing)
	var err error
	if rest, whole := exchange.WholeOf(body); whole && !bare && p.Length >= 0 && p.Length != int64(len(rest)) {
		err = unsent{exchange.Internal.Withf("the body has %d bytes, its Content-Length is %d", len(rest), p.Length)}
	} else if whole && !chunked {
		err = c.send(ws.out.b, rest)
		x.Record.ResponseBytes = int64(len(rest))
	} else {
		err = c.stream(x, body, chunked)
	}
	if u, ok := err.(unsent); ok && !x.Record.Failed {
		// The server broke off before the client was told anything: it can still get an answer.
		x.ResetResponse()
		c.rescue(x, u.error)
		c.settle(x)
		c.frame(x)
		rest, _ := exchange.WholeOf(x.Response.Body)
		err = c.send(ws.out.b, rest)
		x.Record.ResponseBytes = int64(len(rest))
	}
	ws.out.release()
	ws.out = nil
	if err != nil {
		c.cut(x, err)
	}
}

// unsent is an error of a body before any byte of the response was sent.
type unsent struct{ error }

// cut gives a connection up in the middle of a response.
func (c *conn1) cut(x *exchange.Exchange, err error) {
	c.part(breaks)
	if !x.Record.Failed {
		x.Record.Failed, x.Record.Error, x.Record.Kind = true, err, exchange.KindOf(err)
	}
	c.io.Abort()
}

// send writes head and body and names the error of a client that did not take them.
func (c *conn1) send(a, b []byte) error {
	if err := c.io.Write2(a, b); err != nil {
		return c.fault(err).With(err)
	}
	return nil
}

// settle decides whether this is the last exchange of the connection. RFC 9112 §9.3.
func (c *conn1) settle(x *exchange.Exchange) {
	s, f := c.srv, &c.ws.f
	if f.closing || x.Request.Proto == exchange.HTTP10 && !f.keepAlive || s.draining.Load() ||
		s.MaxRequests > 0 && c.served >= s.MaxRequests ||
		s.MaxAge > 0 && x.Record.Start-c.began > int64(s.MaxAge) {
		// In stages: what the client sends behind this request must not make a reset of it. RFC 9112 §9.6.
		c.part(lingers)
	}
	if !c.last() && c.ws.body.doomed(x) {
		c.part(lingers)
	}
}

// framingFields are those that the codec alone decides on.
var framingFields = exchange.NewNameSet(exchange.ContentLength, exchange.TransferEncoding, exchange.Connection)

// frame builds the head of the response in ws.out and reports whether its body is chunked.
// RFC 9112 §6.
func (c *conn1) frame(x *exchange.Exchange) (chunked bool) {
	ws, p := c.ws, &x.Response
	p.Header.DelSet(framingFields) // a handler's own would contradict ours
	out := appendStatusLine(ws.out.b[:0], p.Status)
	out = p.Header.AppendTo(out)
	if !p.Header.Has(exchange.Date) {
		out = append(out, "Date: "...)
		out = append(out, httpdate.At(x.Record.Start+x.Record.UpstreamDuration)...)
		out = append(out, crlf...)
	}
	old := x.Request.Proto == exchange.HTTP10
	switch {
	case p.Status < 200 || p.Status == 204:
	case p.Length >= 0:
		out = append(out, "Content-Length: "...)
		out = strconv.AppendInt(out, p.Length, 10)
		out = append(out, crlf...)
	case fields.Bodiless(x.Request.Method, p.Status):
	case p.Body == nil:
		out = append(out, "Content-Length: 0\r\n"...)
	case old:
		c.part(lingers) // a reset would look like a body that was cut off
	default:
		chunked = true
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	}
	if c.last() {
		out = append(out, "Connection: close\r\n"...)
	} else if old {
		out = append(out, "Connection: keep-alive\r\n"...)
	}
	ws.out.b = append(out, crlf...)
	return chunked
}

// stream sends the head with the first of the body, and then what the body yields as it does.
func (c *conn1) stream(x *exchange.Exchange, body exchange.Body, chunked bool) error {
	ws, left := c.ws, x.Response.Length
	out := ws.out.b
	if w, ok := body.(exchange.Waiter); ok && w.Waits() {
		if err := c.send(out, nil); err != nil {
			return err
		}
		out = out[:0]
	}
	for {
		c.enter(busy)
		p, err := body.Next()
		c.enter(writing)
		if err == io.EOF {
			break
		}
		if err != nil {
			if len(out) > 0 && x.Record.ResponseBytes == 0 {
				return unsent{err}
			}
			return err
		}
		if len(p) == 0 {
			continue // as a chunk it would be the end
		}
		x.Record.ResponseBytes += int64(len(p))
		if left >= 0 && x.Record.ResponseBytes > left {
			return exchange.Internal.Withf("the body is longer than its Content-Length %d", left)
		}
		if chunked {
			out, err = sendChunk(c, out, p)
		} else {
			err = c.send(out, p)
			out = out[:0]
		}
		if err != nil {
			return err
		}
	}
	if left >= 0 && x.Record.ResponseBytes < left {
		return exchange.UpstreamReset.Withf("the body is shorter than its Content-Length %d", left)
	}
	if chunked {
		out = appendLastChunk(out, &x.Response.Trailer)
	}
	ws.out.b = out
	if len(out) == 0 {
		return nil
	}
	return c.send(out, nil)
}

// Inform sends an interim response. RFC 9110 §15.2.
func (c *conn1) Inform(status int, h *exchange.Header) error {
	if c.ws.x.Request.Proto == exchange.HTTP10 {
		return nil
	}
	c.informing.Lock()
	defer c.informing.Unlock()
	if c.answered {
		return nil
	}
	if status == 100 {
		c.leave.Store(true)
	}
	out := appendStatusLine(make([]byte, 0, 512), status)
	if h != nil {
		out = h.AppendTo(out)
	}
	return c.send(append(out, crlf...), nil)
}

var statusLines = func() (lines [1000][]byte) {
	for status := 100; status < 1000; status++ {
		lines[status] = append(append([]byte("HTTP/1.1 "+strconv.Itoa(status)+" "), exchange.StatusText(status)...), crlf...)
	}
	return
}()

func appendStatusLine(dst []byte, status int) []byte {
	if status < 100 || status > 999 {
		status = 500
	}
	return append(dst, statusLines[status]...)
}
