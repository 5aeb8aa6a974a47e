package retry

import (
	"io"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// saved is a request as it was before the first attempt: middlewares further in may have edited it.
type saved struct {
	method, scheme    string
	host, path, query []byte // the exchange's memory, which stays as it is until it ends
	hasQuery          bool
	header            exchange.Header
	length            int64
	whole             []byte  // the body, when all of it was in memory
	body              *replay // the body otherwise; nil for none
}

// save notes the request, and has its body recorded while it is read: nothing is read before the
// service asks for it, so a client that waits for a 100 is not asked in vain.
func (s *saved) save(r *exchange.Request, maxBody int64) {
	s.method, s.scheme, s.host, s.path, s.query, s.hasQuery = r.Method, r.Scheme, r.Host, r.Path, r.Query, r.HasQuery
	s.header.CopyFrom(&r.Header)
	s.length, s.whole, s.body = r.Length, nil, nil
	if r.Body == nil {
		return
	}
	if b, whole := exchange.WholeOf(r.Body); whole {
		s.whole = b
		r.Body = exchange.NewBytes(b)
		return
	}
	s.body = &replay{from: r.Body, max: maxBody}
	if maxBody >= 0 && r.Length > maxBody {
		s.body.max = 0 // it will not fit, so why begin
	}
	r.Body = s.body
}

// replayable reports whether the request can be sent as it was.
func (s *saved) replayable() bool { return s.body == nil || !s.body.lost }

// restore makes the request what it was.
func (s *saved) restore(r *exchange.Request) {
	r.Method, r.Scheme, r.Host, r.Path, r.Query, r.HasQuery = s.method, s.scheme, s.host, s.path, s.query, s.hasQuery
	r.Header.CopyFrom(&s.header)
	r.Length = s.length
	switch {
	case s.body != nil:
		if s.body.began {
			r.Continue = false // the client was told to go on, once
		}
		s.body.next = 0
		r.Body = s.body
	case s.whole != nil:
		r.Body = exchange.NewBytes(s.whole)
	}
}

// replay is a body that remembers what was read of it. It is not closed between attempts: what lies
// under it belongs to the codec.
type replay struct {
	from     exchange.Body
	max      int64 // bytes to remember, -1 for all
	recorded []byte
	next     int   // where in recorded the reader is
	err      error // how the body ended
	began    bool
	lost     bool // more was read than is remembered
}

// Next returns what is remembered, then what comes.
func (b *replay) Next() ([]byte, error) {
	if b.next < len(b.recorded) {
		p := b.recorded[b.next:]
		b.next = len(b.recorded)
		return p, nil
	}
	if b.err != nil {
		return nil, b.err
	}
	b.began = true
	p, err := b.from.Next()
	if err != nil {
		if err != io.EOF {
			b.lost = true // whatever the next attempt does, it ends the same
		}
		b.err = err
		return nil, err
	}
	switch {
	case b.lost:
	case b.max >= 0 && int64(len(b.recorded)+len(p)) > b.max:
		b.lost, b.recorded, b.next = true, nil, 0
	default:
		b.recorded = append(b.recorded, p...)
		b.next = len(b.recorded)
	}
	return p, nil
}

// Close leaves the body open for another attempt.
func (b *replay) Close() error { return nil }
