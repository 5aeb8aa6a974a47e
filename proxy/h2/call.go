package h2

import (
	"errors"
	"sync"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// call is one request to a server and its answer: a stream. It is the response's body, and owns the memory
// of the response's head until the exchange has ended.
type call struct {
	pool *Pool
	u    *upConn
	x    *exchange.Exchange
	id   uint32
	came chan struct{} // something came for who waits for the answer
	room chan struct{} // something came for who sends the request's body
	path []byte

	block, trailer fields.Block // the answer's; of the reader until head, or trailers
	pump           *upPump      // sends the request's body meanwhile; nil when it went with the head
	bound          bool         // to the exchange's life
	over           bool         // all of the answer is here: the connection is no longer needed
	bodiless       bool         // the answer has no body, such as that to HEAD
	asks           bool         // the client waits for a 100
	tun            upTunnel     // the response's tunnel
	taken          int64        // bytes of the body, by Next

	// With the connection's lock.
	interims           []fields.Block // interim responses nobody has looked at
	informed           int            // how many there have been
	head               bool           // the head has come
	whole              bool           // and was the end
	trailers           bool           // the trailer section has come
	ended              bool           // all has come
	sent               bool           // all has been sent
	stopped            bool           // the server does not want the rest of the request
	refused            bool           // and has not looked at it at all
	fresh              bool           // nothing had come on the connection before
	err                error          // why it ended before its time
	body               backlog        // of the response
	left               int64          // what the body must still have; -1 when nobody said
	window             int            // what the server takes
	recv               int            // what it may send
	target             int            // how much that is at most
	total              int            // bytes that came since
	asked, since       int64          // when the request was sent, and when the window was last looked at
	blocked            bool           // in the connection's list
	changes            bool           // a change of protocol is asked for: nothing more is sent until it is answered
	tunnelled          bool           // the protocol has changed
	waits              bool           // somebody waits for more of the body
	got                uint32         // counts what came, put what was sent
	put                uint32
	receiving, sending stall // of the sweeper
}

var calls = sync.Pool{New: func() any {
	return &call{came: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}}

func newCall(p *Pool, u *upConn, x *exchange.Exchange) *call {
	k := calls.Get().(*call)
	k.pool, k.u, k.x, k.taken = p, u, x, 0
	k.left, k.recv, k.target = -1, upStreamWindow, upStreamWindow
	return k
}

// maxAttempts is how many connections a request is tried on.
const maxAttempts = 3

// Handle sends the request and returns once the response head is there.
func (p *Pool) Handle(x *exchange.Exchange) error {
	var not *upConn
	for attempt := 1; ; attempt++ {
		u, err := p.get(x, not)
		if err != nil {
			x.Record.Sent = false
			return err
		}
		k := newCall(p, u, x)
		x.Own(k)
		if err = k.ask(); err == nil {
			return nil
		}
		again := k.giveUp()
		if reason := x.Life.Err(); reason != nil {
			return exchange.KindOf(reason).With(err)
		}
		if !again || attempt == maxAttempts {
			return err
		}
		not = u
	}
}

// ask sends the request and waits for the response head.
func (k *call) ask() error {
	x := k.x
	if err := x.Life.Bind(k); err != nil {
		k.abandon()
		return err
	}
	k.bound = true
	switch r := &x.Request; {
	case r.Upgrade != nil && r.Length != 0:
		r.Upgrade = nil // HTTP/2 has no words for it, and servers need not heed it. RFC 9110 §7.8
	case r.Upgrade != nil:
		return k.change()
	}
	body, whole := exchange.WholeOf(x.Request.Body)
	if k.asks = x.Request.Continue; k.asks {
		body, whole = nil, false
	}
	rest, err := k.open(body, whole)
	if err != nil {
		return err
	}
	x.Record.Sent = true
	if len(rest) > 0 || !whole {
		k.startPump(rest, whole)
	}
	return k.wait()
}

// abandon gives up the place on the connection before there is a stream.
func (k *call) abandon() {
	k.u.mu.Lock()
	k.u.unload()
	k.u.mu.Unlock()
}

func (k *call) unbind() {
	if k.bound {
		k.bound = false
		k.x.Life.Bind(nil)
	}
}

// fail makes err what the call ends with, unless all of the answer has come. With the lock.
func (k *call) fail(err error) {
	if k.err == nil && !k.ended {
		k.err = err
	}
	k.stopped = true
	wake(k.came)
	wake(k.room)
}

// Cancel is called when the client goes away.
func (k *call) Cancel(reason error) {
	u := k.u
	u.mu.Lock()
	if k.id == 0 { // not begun
		k.fail(reason)
	}
	u.reset(k, frame.Cancel, reason)
	u.leave()
}

// giveUp ends a call that has no response to keep, and reports whether the request may be sent again on
// another connection.
func (k *call) giveUp() (again bool) {
	k.quit()
	u := k.u
	untouched := k.pump == nil || !k.pump.touched
	switch {
	case k.refused:
		k.x.Record.Sent = false // whoever has kept the body may try again
		return untouched
	case !untouched:
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return k.err != nil && k.err == u.over && !k.fresh && !k.head &&
		exchange.KindOf(u.over) == exchange.UpstreamReset && k.x.Request.Idempotent()
}

// quit ends whatever is still under way.
func (k *call) quit() {
	k.unbind()
	u := k.u
	u.mu.Lock()
	code := frame.Cancel
	if k.ended {
		code = frame.NoError
	}
	u.reset(k, code, errQuit)
	u.unlock()
	if k.pump != nil {
		k.pump.stop()
	}
}

var errQuit = exchange.ClientAbort.With(errors.New("the answer was given up"))

// Free is exchange.Freer: the exchange is over.
func (k *call) Free() {
	k.quit()
	k.discard()
	k.block.Shed()
	k.trailer.Shed()
	drain(k.came)
	drain(k.room)
	*k = call{came: k.came, room: k.room, path: k.path[:0], block: k.block, trailer: k.trailer, body: k.body}
	if cap(k.path) > 8<<10 {
		k.path = nil
	}
	calls.Put(k)
}
