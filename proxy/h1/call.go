package h1

import (
	"errors"
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// call is one request to a server and its answer. It is the response's body, and owns the memory of
// the response's head until the exchange has ended.
type call struct {
	pool *Pool
	u    *upConn // nil once the connection was given back or closed
	x    *exchange.Exchange
	f    framing
	out  *buffer // the head; nil once it was sent
	in   *buffer // the answer's beginning; nil until it may be there
	incoming
	taken int64    // bytes of the body, by Next
	asks  bool     // the client waits for a 100
	keep  bool     // the connection may be used again after a clean end
	pump  *pump    // sends the request's body meanwhile; nil when it went with the head
	bound bool     // u is bound to the exchange's life
	tun   upTunnel // the response's tunnel
}

var calls = sync.Pool{New: func() any { return &call{} }}

// errStale is a kept connection that turned out to be dead.
var errStale = errors.New("the kept connection was closed by the server")

// Handle sends the request and returns once the response head is there.
func (p *Pool) Handle(x *exchange.Exchange) error {
	for fresh := false; ; fresh = true {
		u, kept, err := p.get(x, fresh)
		if err != nil {
			x.Record.Sent = false
			return err
		}
		k := calls.Get().(*call)
		k.pool, k.u, k.x, k.taken = p, u, x, 0
		x.Own(k)
		err = k.ask()
		if err == nil {
			return nil
		}
		k.giveUp()
		if reason := x.Life.Err(); reason != nil {
			return exchange.KindOf(reason).With(err)
		}
		if !kept || !errors.Is(err, errStale) {
			return err
		}
	}
}

// ask sends the request and reads the response head.
func (k *call) ask() error {
	x, u := k.x, k.u
	if err := x.Life.Bind(u); err != nil {
		return err
	}
	k.bound = true
	body, whole := exchange.WholeOf(x.Request.Body)
	k.asks = x.Request.Continue
	whole = whole && !k.asks
	k.out = takeBuffer()
	k.out.b = k.appendHead(k.out.b, body, whole)
	if whole && len(body) > 0 && len(body) <= headBuffer {
		k.out.b = append(k.out.b, body...)
		body = nil
	}
	var n int
	var err error
	sent := true
	precise := k.pool.config.HeadTimeout > 0 && k.pool.config.HeadTimeout < preciseBelow
	if precise && whole {
		u.conn.Net().SetReadDeadline(time.Now().Add(k.pool.config.HeadTimeout))
	}
	u.progress.enter(reading)
	if whole && len(body) == 0 {
		n, sent, err = u.conn.Call(k.out.b, k)
	} else {
		k.startPump(body, whole)
		n, err = u.conn.Read(k.Room())
	}
	x.Record.Sent = sent
	if err != nil || n == 0 {
		err = k.noAnswer(err)
		if (!sent || x.Request.Idempotent() && k.pump == nil) && exchange.KindOf(err) == exchange.UpstreamReset {
			return errors.Join(err, errStale)
		}
		return err
	}
	if err = k.head(n); err != nil {
		return err
	}
	if precise {
		u.conn.Net().SetReadDeadline(time.Time{})
		if x.Life.Err() != nil {
			u.interrupt() // the deadline may have been that of a Cancel
		}
	}
	if err := k.settle(); err != nil {
		return err
	}
	if k.u != nil {
		u.progress.enter(busy)
	}
	return nil
}

// Wait is listen.Caller: the head has been sent, and the answer is not there yet.
func (k *call) Wait() { k.giveBack() }

// giveBack gives the memory for heads back.
func (k *call) giveBack() {
	k.out.release()
	k.in.release()
	k.out, k.in = nil, nil
}

// Room is listen.Caller: the answer may be there.
func (k *call) Room() []byte {
	k.in = takeBuffer()
	return k.in.b[:cap(k.in.b)]
}

// preciseBelow is the response timeout under which the sweeper is too coarse a timer.
const preciseBelow = 5 * time.Second

// settle gives the connection back already if nothing more is needed of it.
//
// A response with bytes behind it is refused. Nobody asked for them: likely what we took for the answer
// is one that the server sent unasked before, to somebody else's request, and the answer is behind it.
func (k *call) settle() error {
	if k.pump != nil || k.x.Response.Tunnel != nil {
		return nil
	}
	rest, whole := k.incoming.whole()
	if !whole {
		return nil
	}
	if k.mode == byLength && k.r+len(rest) < k.w {
		return exchange.UpstreamProtocol.With(ruleExcess)
	}
	k.finish(k.r + len(rest))
	return nil
}

// finish ends the use of the connection, of which buf[:end] belongs to the response.
func (k *call) finish(end int) {
	u := k.u
	if u == nil {
		return
	}
	k.u = nil
	k.unbind()
	// A server that overlooks a request's body takes it for the next request, and one that overlooks that
	// a response has none sends it later.
	u.suspect = k.mode == byNothing || k.x.Request.Body != nil
	// Bytes behind the response are nobody's: whoever sent them is not to be trusted with more.
	if k.keep && end == k.w && k.x.Life.Err() == nil && !u.expired.Load() {
		k.pool.put(u, k.x.Conn.Shard)
	} else {
		u.close()
	}
}

func (k *call) unbind() {
	if k.bound {
		k.bound = false
		k.x.Life.Bind(nil)
	}
}

// giveUp ends a call that has no response to keep.
func (k *call) giveUp() {
	u := k.u
	if u == nil {
		return
	}
	if k.pump != nil {
		k.pump.stop()
	}
	k.u = nil
	k.unbind()
	u.close()
}

// Free is exchange.Freer: the exchange is over.
func (k *call) Free() {
	k.giveUp()
	k.incoming.release()
	k.giveBack()
	k.incoming.buf = nil
	k.pool, k.x, k.pump, k.tun.call, k.tun.in = nil, nil, nil, nil, nil
	k.f, k.incoming.trailer, k.incoming.conn = framing{}, nil, nil
	calls.Put(k)
}
