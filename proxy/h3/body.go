package h3

import (
	"io"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h3/frame"
)

// requestBody is the content of a request, out of its DATA frames.
//
// Next is called by one goroutine at a time, which need not be the stream's: a pool sends a body from a
// goroutine of its own while the stream's waits for the answer. Close may be called meanwhile.
type requestBody struct {
	s        *stream
	length   int64  // what there must be; -1: whatever comes
	left     uint64 // of the DATA frame
	trailers fields.Block
	behind   bool // the trailers have come
	over     bool
	err      error
	count    atomic.Int64 // bytes handed out
	touched  atomic.Bool  // somebody has begun to read
	closed   atomic.Bool  // nobody wants the rest
	// malformed says that the request must not be answered.
	malformed atomic.Bool
}

func (b *requestBody) begin(s *stream, length int64) {
	b.s, b.length, b.left = s, length, 0
	b.behind, b.over, b.err = false, false, nil
	b.count.Store(0)
	b.touched.Store(false)
	b.closed.Store(false)
	b.malformed.Store(false)
}

// forget lets go of what the last body held.
func (b *requestBody) forget() {
	b.s = nil
	b.over = true
	b.trailers.Shed()
}

// bytes is how much of the body was taken.
func (b *requestBody) bytes() int64 {
	if b.s == nil {
		return 0
	}
	if p, whole := b.Whole(); whole && !b.touched.Load() {
		return int64(len(p))
	}
	return b.count.Load()
}

// Whole returns the body if all of it has come, in one frame and without trailers.
func (b *requestBody) Whole() ([]byte, bool) {
	s := b.s
	if b.over || !s.eof || b.err != nil || b.behind {
		return nil, b.over && b.err == nil && !b.behind
	}
	p := s.buf[s.r:s.w]
	left := b.left
	if left == 0 && len(p) > 0 {
		h, n := frame.ParseHead(p)
		if n == 0 || h.Type != frame.Data {
			return nil, false
		}
		p, left = p[n:], h.Length
	}
	if uint64(len(p)) != left || b.length >= 0 && b.count.Load()+int64(len(p)) != b.length {
		return nil, false
	}
	return p[:len(p):len(p)], true
}

// Next returns more of the body. A client that waits for leave to send it is given leave first,
// unless a server will do so (Request.Continue is then false).
func (b *requestBody) Next() ([]byte, error) {
	s := b.s
	b.touched.Store(true)
	if b.closed.Load() {
		return nil, io.ErrClosedPipe
	}
	if x := &s.x; x.Request.Continue {
		x.Request.Continue = false
		if err := s.Inform(100, nil); err != nil {
			return nil, err
		}
	}
	s.intake.enter(receiving)
	p, err := b.next()
	s.intake.enter(idle)
	return p, err
}

// Close stops a Next that waits, and every later one. The client is told that the rest is not wanted.
func (b *requestBody) Close() error {
	if !b.closed.Swap(true) && b.s != nil {
		b.s.quic.CancelRead(codeNoError) // which does nothing at the end of the stream
	}
	return nil
}

func (b *requestBody) next() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	if b.over {
		return nil, io.EOF
	}
	p, err := b.more()
	if err == nil {
		b.count.Add(int64(len(p)))
		return p, nil
	}
	if err == io.EOF {
		if b.length < 0 || b.count.Load() == b.length {
			b.over = true
			return nil, io.EOF
		}
		err = fields.RuleLengthBody
	}
	b.err = b.s.named(err)
	switch e := err.(type) {
	case *fault:
		b.s.conn.fail(e)
		b.malformed.Store(true)
	case *fields.Rule:
		b.s.conn.srv.refused(e.Name)
		b.malformed.Store(true)
	}
	return nil, b.err
}

// more reads up to the next content. io.EOF is the end of the stream.
func (b *requestBody) more() ([]byte, error) {
	s := b.s
	for b.left == 0 {
		h, err := s.frame()
		if err != nil {
			return nil, err
		}
		switch {
		case h.Type == frame.Data && !b.behind:
			if b.length >= 0 && h.Length > uint64(b.length-b.count.Load()) {
				return nil, fields.RuleLengthBody
			}
			b.left = h.Length
		case h.Type == frame.Headers && !b.behind:
			if err := b.trailer(h.Length); err != nil {
				return nil, err
			}
		default:
			return nil, faultUnexpected
		}
	}
	if s.r == s.w {
		if b.left > headBuffer {
			s.enlarge()
		}
		if err := s.fill(); err != nil {
			return nil, cutOff(err)
		}
	}
	n := int(min(b.left, uint64(s.w-s.r)))
	p := s.buf[s.r : s.r+n]
	s.r += n
	b.left -= uint64(n)
	return p, nil
}

// trailer reads the trailer section. RFC 9114 §4.1.
func (b *requestBody) trailer(length uint64) error {
	if length > uint64(fields.TrailerLimits.HeaderBytes) {
		return fields.RuleTrailerSize
	}
	s := b.s
	p, err := s.payload(int(length))
	if err != nil {
		return err
	}
	b.behind = true
	b.trailers.Reset(&fields.TrailerLimits)
	if s.decoder.Decode(&b.trailers, p) != nil {
		return faultQPACK
	}
	return b.trailers.Trailer(&s.x.Request.Trailer)
}
