package h2

import (
	"io"

	"github.com/pergola-mesh/pergola/internal/httpdate"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// respond sends the response, whose head is complete. An error means that it was cut short: the stream
// is then to be reset, so that nobody can take it for whole.
func (s *downStream) respond() error {
	x := &s.x
	p := &x.Response
	if err := s.life.Err(); err != nil {
		return err // nobody is there to read it
	}
	if p.Tunnel != nil {
		return s.tunnel()
	}
	body := p.Body
	bare := fields.Bodiless(x.Request.Method, p.Status)
	if bare {
		body = nil
	}
	rest, whole := exchange.WholeOf(body)
	var err error
	switch {
	case whole && !bare && p.Length >= 0 && p.Length != int64(len(rest)):
		err = unsent{exchange.Internal.Withf("the body has %d bytes, its Content-Length is %d", len(rest), p.Length)}
	case whole && p.Trailer.Len() == 0:
		if len(rest) > 0 {
			p.Length = int64(len(rest))
		}
		err = s.send(rest, len(rest) == 0)
	default:
		err = s.stream(body)
	}
	if u, ok := err.(unsent); ok && !x.Record.Failed {
		// The server broke off before the client was told anything: it can still get an answer.
		x.ResetResponse()
		s.rescue(u.error)
		rest, _ = exchange.WholeOf(x.Response.Body)
		if fields.Bodiless(x.Request.Method, x.Response.Status) {
			rest = nil
		}
		err = s.send(rest, len(rest) == 0)
	}
	return err
}

// unsent is an error of a body before any byte of the response was sent.
type unsent struct{ error }

// send sends the head with all of the body.
func (s *downStream) send(body []byte, end bool) error {
	c := s.c
	c.mu.Lock()
	if err := s.head(end); err != nil {
		c.mu.Unlock()
		return err
	}
	if !end {
		if err := s.write(body, true); err != nil {
			c.mu.Unlock()
			return err
		}
	}
	s.complete = true
	c.mu.Unlock()
	return nil // leave will flush
}

// stream sends the head with the first of the body, and then what the body yields as it does.
func (s *downStream) stream(body exchange.Body) error {
	x, c := &s.x, s.c
	left := x.Response.Length
	if w, ok := body.(exchange.Waiter); ok && w.Waits() {
		c.mu.Lock()
		if err := s.head(false); err != nil {
			c.mu.Unlock()
			return err
		}
		c.release()
	}
	for body != nil {
		p, err := body.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			if !s.answered {
				return unsent{err}
			}
			return err
		}
		if len(p) == 0 {
			continue
		}
		if left >= 0 && x.Record.ResponseBytes+int64(len(p)) > left {
			return exchange.Internal.Withf("the body is longer than its Content-Length %d", left)
		}
		c.mu.Lock()
		if !s.answered {
			err = s.head(false)
		}
		if err == nil {
			err = s.write(p, false)
		}
		if err != nil {
			c.mu.Unlock()
			return err
		}
		if exchange.EndedOf(body) {
			c.mu.Unlock() // the end comes at once: both go together
		} else {
			c.release()
		}
	}
	if left >= 0 && x.Record.ResponseBytes < left {
		err := exchange.UpstreamReset.Withf("the body is shorter than its Content-Length %d", left)
		if !s.answered {
			return unsent{err}
		}
		return err
	}
	return s.close()
}

// close ends the response: with its trailer, if it has one.
func (s *downStream) close() error {
	c, t := s.c, &s.x.Response.Trailer
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.answered {
		if err := s.head(t.Len() == 0); err != nil {
			return err
		}
	}
	if err := s.room(); err != nil {
		return err
	}
	switch b := c.output(); {
	case s.complete:
	case t.Len() == 0:
		b.p = frame.AppendData(b.p, s.id, nil, true)
	default:
		at := len(b.p)
		b.p = c.enc.Begin(frame.BeginHeaders(b.p))
		b.p = c.enc.Header(b.p, t, fields.NotInTrailer)
		b.p = frame.EndHeaders(b.p, at, s.id, true, c.peerFrame)
	}
	s.complete = true
	return nil
}

// head appends the head of the response. With the lock. RFC 9113 §8.3.2.
func (s *downStream) head(end bool) error {
	if err := s.room(); err != nil {
		return err
	}
	c, p := s.c, &s.x.Response
	s.answered = true
	b := c.output()
	at := len(b.p)
	b.p = c.enc.Begin(frame.BeginHeaders(b.p))
	status := p.Status
	if p.Tunnel != nil {
		status = 200 // RFC 8441 §5
	}
	b.p = c.enc.Status(b.p, status)
	b.p = c.enc.Header(b.p, &p.Header, fields.HopByHop)
	if !p.Header.Has(exchange.Date) {
		b.p = c.enc.Field(b.p, exchange.Date, httpdate.At(s.x.Record.Start+s.x.Record.UpstreamDuration))
	}
	if p.Length >= 0 && status >= 200 && status != 204 && p.Tunnel == nil {
		b.p = c.enc.Length(b.p, p.Length)
	}
	b.p = frame.EndHeaders(b.p, at, s.id, end, c.peerFrame)
	c.said = true
	if end {
		s.complete = true
	}
	return nil
}

// room waits until there is room for a head. With the lock, which it may give up meanwhile.
func (s *downStream) room() error {
	for {
		if err := s.gone(); err != nil {
			return err
		}
		if !s.c.full() {
			return nil
		}
		s.wait()
	}
}

// gone is why nothing can be sent any more. With the lock.
func (s *downStream) gone() error {
	if !s.reset {
		return nil
	}
	if err := s.life.Err(); err != nil {
		return err
	}
	return errReset
}

// write appends data, in pieces as the client takes them and there is room, and counts it. With the lock,
// which it gives up while it waits. RFC 9113 §5.2.
func (s *downStream) write(p []byte, end bool) error {
	c := s.c
	for {
		if err := s.gone(); err != nil {
			return err
		}
		n := min(len(p), s.window, c.window, c.peerFrame)
		if n <= 0 || c.full() {
			s.wait()
			continue
		}
		b := c.output()
		b.p = frame.AppendData(b.p, s.id, p[:n], end && n == len(p))
		s.window -= n
		c.window -= n
		s.sent++
		s.x.Record.ResponseBytes += int64(n)
		c.budget.earn(n / earnBytes)
		c.said = true
		if p = p[n:]; len(p) == 0 {
			return nil
		}
	}
}

// wait waits until the client takes more, or there is room. With the lock, which it gives up meanwhile.
func (s *downStream) wait() {
	c := s.c
	c.block(s)
	s.sent++
	c.release()
	<-s.wake
	c.mu.Lock()
}

// Inform sends an interim response. It is exchange.Informer. RFC 9110 §15.2.
func (s *downStream) Inform(status int, h *exchange.Header) error {
	c := s.c
	c.mu.Lock()
	if s.answered {
		c.mu.Unlock()
		return nil
	}
	if err := s.room(); err != nil {
		c.mu.Unlock()
		return err
	}
	b := c.output()
	at := len(b.p)
	b.p = c.enc.Status(c.enc.Begin(frame.BeginHeaders(b.p)), status)
	if h != nil {
		b.p = c.enc.Header(b.p, h, fields.HopByHop)
	}
	b.p = frame.EndHeaders(b.p, at, s.id, false, c.peerFrame)
	c.release()
	return nil
}
