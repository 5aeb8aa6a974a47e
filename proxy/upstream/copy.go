package upstream

import (
	"bytes"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// requestCopy is a request that lives on its own, for a mirror.
type requestCopy struct {
	mirror int // the index of
	x      exchange.Exchange
	conn   exchange.Conn
	life   exchange.Life
}

// newCopies makes a copy of x's request, without its body, for each bit in mirrors.
func newCopies(x *exchange.Exchange, mirrors uint64) []*requestCopy {
	copies := make([]*requestCopy, 0, bits.OnesCount64(mirrors))
	for ; mirrors != 0; mirrors &= mirrors - 1 {
		c := &requestCopy{mirror: bits.TrailingZeros64(mirrors), conn: *x.Conn}
		c.life.Begin()
		c.x.Reset(&c.conn, &c.life, nil)
		c.x.Client = x.Client
		from, to := &x.Request, &c.x.Request
		to.Method, to.Scheme, to.Proto = from.Method, from.Scheme, from.Proto
		to.Host, to.Path, to.Target = bytes.Clone(from.Host), bytes.Clone(from.Path), bytes.Clone(from.Target)
		to.Query, to.HasQuery = bytes.Clone(from.Query), from.HasQuery
		to.Header.CopyFrom(&from.Header)
		copies = append(copies, c)
	}
	return copies
}

// send has h answer the copy and drops what it answers.
func (c *requestCopy) send(h exchange.Handler, content *shared) {
	x := &c.x
	if content != nil {
		x.Request.Body, x.Request.Length = exchange.NewBytes(content.bytes), int64(len(content.bytes))
		if x.Request.Trailer.Len() > 0 { // which need a body that is not whole, and of no known length
			x.Request.Body, x.Request.Length = &rewound{kept: content.bytes}, -1
		}
	}
	timeout := time.AfterFunc(mirrorTimeout, func() { c.life.Cancel(exchange.UpstreamTimeout) })
	x.Record.Start = clock.Now()
	if err := h.Handle(x); err != nil {
		exchange.Rescue(x, err)
	}
	for body := x.Response.Body; body != nil; {
		p, err := body.Next()
		if err != nil {
			break
		}
		x.Record.ResponseBytes += int64(len(p))
	}
	x.Response.Close()
	timeout.Stop()
	c.life.End()
	x.Record.Duration = clock.Now() - x.Record.Start
	for _, scope := range []exchange.Scope{x.Record.Service, x.Record.Endpoint} {
		if scope != nil {
			scope.Observe(x)
		}
	}
	x.Free()
}

// shared is a body that several copies send; the last gives it back to the ledger.
type shared struct {
	bytes  []byte
	ledger *ledger
	users  atomic.Int32
}

func (s *shared) use(n int32) {
	if s != nil {
		s.users.Add(n)
	}
}

func (s *shared) done() {
	if s != nil && s.users.Add(-1) == 0 {
		s.ledger.give(len(s.bytes))
	}
}
