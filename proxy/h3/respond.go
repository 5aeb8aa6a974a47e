package h3

import (
	"io"
	"strconv"

	"github.com/pergola-mesh/pergola/internal/httpdate"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h3/frame"
	"github.com/pergola-mesh/pergola/proxy/h3/qpack"
)

// unsent is an error of a body before any byte of the response was sent.
type unsent struct{ error }

// respond sends the response, whose head is complete. A body that breaks off resets the stream, so that
// nobody can take it for whole.
func (s *stream) respond() {
	x := &s.x
	if s.life.Err() != nil {
		s.cut(exchange.ClientAbort) // nobody is there to read it
		return
	}
	if s.body.malformed.Load() {
		s.cut(exchange.BadRequest) // RFC 9114 §4.1.2
		return
	}
	s.informing.Lock()
	s.answered = true
	s.informing.Unlock()
	if x.Response.Tunnel != nil {
		s.tunnel()
		return
	}
	err := s.send()
	if u, ok := err.(unsent); ok {
		if err = u.error; !x.Record.Failed {
			// The server broke off before the client was told anything: it can still get an answer.
			x.ResetResponse()
			s.rescue(err)
			x.Record.ResponseBytes = 0
			err = s.send()
		}
	}
	if err != nil {
		s.cut(err)
		return
	}
	s.settled()
	s.quic.Close()
}

// cut gives the stream up.
func (s *stream) cut(err error) {
	if r := &s.x.Record; !r.Failed {
		r.Failed, r.Error, r.Kind = true, err, exchange.KindOf(err)
	}
	code := resetCode(err)
	s.broken = code == codeMessage
	s.cancel(code)
}

// send sends head, body and trailers.
func (s *stream) send() error {
	x, p := &s.x, &s.x.Response
	body := p.Body
	bare := fields.Bodiless(x.Request.Method, p.Status)
	if bare {
		body = nil
	}
	rest, whole := exchange.WholeOf(body)
	whole = whole && p.Trailer.Len() == 0
	if whole && len(rest) > 0 && p.Length < 0 {
		p.Length = int64(len(rest))
	}
	out := s.appendHead(s.out[:0])
	s.out = out
	switch {
	case !whole:
		return s.stream(body)
	case bare:
		return s.write(out)
	case p.Length >= 0 && p.Length != int64(len(rest)):
		return unsent{exchange.Internal.Withf("the body has %d bytes, its Content-Length is %d", len(rest), p.Length)}
	case len(rest) == 0:
		return s.write(out)
	}
	x.Record.ResponseBytes = int64(len(rest))
	return s.write2(frame.AppendHead(out, frame.Data, len(rest)), rest)
}

// appendHead appends the HEADERS frame of the response. RFC 9114 §4.3.2.
func (s *stream) appendHead(out []byte) []byte {
	x, p := &s.x, &s.x.Response
	p.Header.DelSet(unsendable)
	at := len(out)
	out = append(out, make([]byte, frame.MaxHead)...) // for the frame's beginning, once its size is known
	from := len(out)
	out = qpack.AppendStatus(qpack.AppendPrefix(out), p.Status)
	out = appendFields(out, &p.Header)
	if p.Status >= 200 {
		if !p.Header.Has(exchange.Date) {
			out = qpack.AppendField(out, dateName, httpdate.At(x.Record.Start+x.Record.UpstreamDuration))
		}
		if length := s.announced(x); length >= 0 {
			var digits [20]byte
			out = qpack.AppendField(out, lengthName, strconv.AppendInt(digits[:0], length, 10))
		}
	}
	return closeFrame(out, at, from)
}

// announced is the Content-Length to send; -1 for none. RFC 9110 §8.6.
func (s *stream) announced(x *exchange.Exchange) int64 {
	p := &x.Response
	switch {
	case p.Status == 204:
		return -1
	case p.Length >= 0:
		return p.Length
	case p.Body == nil && !fields.Bodiless(x.Request.Method, p.Status):
		return 0
	}
	return -1
}

// closeFrame puts the beginning of a HEADERS frame before its payload, which is out[from:]; there is room
// for it from at on.
func closeFrame(out []byte, at, from int) []byte {
	var head [frame.MaxHead]byte
	h := frame.AppendHead(head[:0], frame.Headers, len(out)-from)
	n := copy(out[at:], h)
	return out[:at+n+copy(out[at+n:], out[from:])]
}

var (
	dateName   = []byte("date")
	lengthName = []byte("content-length")
	// unsendable is what the codec alone decides on, or what must not be in HTTP/3. RFC 9114 §4.2.
	unsendable = exchange.NewNameSet(exchange.ContentLength, exchange.TransferEncoding, exchange.Connection,
		exchange.KeepAlive, exchange.ProxyConnection, exchange.Upgrade)
)

func appendFields(out []byte, h *exchange.Header) []byte {
	h.Each(func(_ exchange.ID, name, value []byte) { out = qpack.AppendField(out, name, value) })
	return out
}

// stream sends the head with the first of the body, and then what the body yields as it does. A body of
// known length is one DATA frame.
func (s *stream) stream(body exchange.Body) error {
	x := &s.x
	left, out := x.Response.Length, s.out
	if left > 0 {
		out = frame.AppendHead(out, frame.Data, int(left))
	}
	fresh := true // nothing was sent
	if w, ok := body.(exchange.Waiter); ok && w.Waits() {
		if err := s.write(out); err != nil {
			return err
		}
		out, fresh = out[:0], false
	}
	for body != nil {
		p, err := body.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			if fresh {
				return unsent{err}
			}
			return err
		}
		if len(p) == 0 {
			continue
		}
		x.Record.ResponseBytes += int64(len(p))
		if left < 0 {
			out = frame.AppendHead(out, frame.Data, len(p))
		} else if x.Record.ResponseBytes > left {
			return exchange.Internal.Withf("the body is longer than its Content-Length %d", left)
		}
		err = s.write2(out, p)
		out, fresh = out[:0], false
		if err != nil {
			return err
		}
	}
	if left >= 0 && x.Record.ResponseBytes < left {
		err := exchange.UpstreamReset.Withf("the body is shorter than its Content-Length %d", left)
		if fresh {
			return unsent{err}
		}
		return err
	}
	if t := &x.Response.Trailer; t.Len() > 0 {
		out = appendTrailer(out, t)
	}
	s.out = out[:0]
	if len(out) == 0 {
		return nil
	}
	return s.write(out)
}

func appendTrailer(out []byte, t *exchange.Header) []byte {
	t.DelSet(fields.NotInTrailer)
	at := len(out)
	out = append(out, make([]byte, frame.MaxHead)...)
	from := len(out)
	return closeFrame(appendFields(qpack.AppendPrefix(out), t), at, from)
}

// Sizes of writes, in bytes: up to which copying is cheaper than a second write, and how much one may have
// for its progress to be seen.
const (
	joined = 16 << 10
	piece  = 32 << 10
)

// write2 writes a, which has room to grow, and then b.
func (s *stream) write2(a, b []byte) error {
	if len(b) <= joined {
		a = append(a, b...)
		if cap(a) > cap(s.out) {
			s.out = a
		}
		return s.write(a)
	}
	if len(a) > 0 {
		if err := s.write(a); err != nil {
			return err
		}
	}
	return s.write(b)
}

// write writes p and names the error of a client that did not take it.
func (s *stream) write(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), piece)
		s.progress.enter(writing)
		_, err := s.quic.Write(p[:n])
		s.progress.enter(idle)
		if err != nil {
			return s.lost(err)
		}
		p = p[n:]
	}
	return nil
}

// Inform sends an interim response. RFC 9114 §4.1, RFC 9110 §15.2.
func (s *stream) Inform(status int, h *exchange.Header) error {
	s.informing.Lock()
	defer s.informing.Unlock()
	if s.answered || status == 101 {
		return nil
	}
	out := make([]byte, frame.MaxHead, 512)
	out = qpack.AppendStatus(qpack.AppendPrefix(out), status)
	if h != nil {
		h.DelSet(unsendable)
		out = appendFields(out, h)
	}
	return s.write(closeFrame(out, 0, frame.MaxHead))
}
