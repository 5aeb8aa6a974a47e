package retry

import (
	"github.com/pergola-mesh/pergola/middlewares/internal/attempt"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// saved is a request as it was before the first attempt: middlewares further in may have edited it.
type saved struct {
	head  attempt.Head
	waits bool    // the client waits to be asked for the body
	whole []byte  // the body, when all of it was in memory
	body  *replay // the body otherwise; nil for none
}

// save notes the request, and has its body recorded while it is read: nothing is read before the
// service asks for it, so a client that waits for a 100 is not asked in vain.
func (s *saved) save(r *exchange.Request, maxBody int64) {
	s.head.Save(r)
	s.waits, s.whole, s.body = r.Continue, nil, nil
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
func (s *saved) replayable() bool { return s.body == nil || !s.body.isLost() }

// hold is replayable, and sees to it that it stays so.
func (s *saved) hold() bool { return s.body == nil || s.body.hold() }

// restore makes the request what it was. Nothing of the last attempt reads its body any more.
func (s *saved) restore(r *exchange.Request) {
	s.head.Restore(r)
	r.Continue = s.waits
	switch {
	case s.body != nil:
		r.Continue = s.waits && !s.body.began // the client is asked once
		r.Body = s.body.rewind(r.Trailer.Len() > 0)
	case s.whole != nil:
		r.Body = exchange.NewBytes(s.whole)
	}
}
