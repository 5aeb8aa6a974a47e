package h1

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
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

// noAnswer names the error of a connection that ended before the answer began.
func (k *call) noAnswer(err error) error {
	if k.pump != nil {
		if cause := k.pump.failure(); cause != nil {
			return cause // the client's fault, or a limit: the body could not be had
		}
	}
	if err == nil || err == io.EOF {
		err = errShort
	}
	return k.u.fault(err)
}

// appendHead builds the request head. RFC 9112 §3.
func (k *call) appendHead(dst, body []byte, whole bool) []byte {
	r, c := &k.x.Request, &k.pool.config
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, c.Prefix...)
	dst = append(dst, r.Path...)
	if r.HasQuery {
		dst = append(append(dst, '?'), r.Query...)
	}
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	switch {
	case c.Host != nil:
		dst = append(dst, c.Host...)
	case len(r.Host) > 0:
		dst = append(dst, r.Host...)
	default:
		dst = append(dst, c.DefaultHost...)
	}
	dst = append(dst, crlf...)
	r.Header.DelSet(requestFramingFields) // a handler's own would contradict ours
	dst = r.Header.AppendTo(dst)
	switch {
	case whole && (len(body) > 0 || r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH"):
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(body)), 10)
		dst = append(dst, crlf...)
	case whole:
	case r.Length >= 0:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, r.Length, 10)
		dst = append(dst, crlf...)
	default:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	if r.Continue {
		dst = append(dst, "Expect: 100-continue\r\n"...)
	}
	if r.Upgrade != nil {
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
		dst = append(dst, r.Upgrade...)
		dst = append(dst, crlf...)
	}
	return append(dst, crlf...)
}

// requestFramingFields are those that the codec alone decides on, and TE: HTTP/2 has it end to end.
var requestFramingFields = framingFields | exchange.NewNameSet(exchange.Host, exchange.TE)

// maxInterim is how many interim responses a server may send before the final one.
const maxInterim = 16

// head reads on from the n bytes in k.in until the final response head is complete and parsed.
func (k *call) head(n int) error {
	x, at, seen := k.x, 0, 0
	buf := k.in.b[:cap(k.in.b)]
	for interims := 0; ; {
		end, err := -1, error(nil)
		if seen > 0 {
			end, err = headEnd(buf[at:n], seen)
		}
		if err == nil && (seen == 0 || end >= 0) {
			end, err = parseResponse(&x.Response, &k.f, buf[at:n])
		}
		if err != nil {
			return exchange.UpstreamProtocol.With(err)
		}
		if end > fields.ResponseLimits.HeaderBytes || end < 0 && n-at >= fields.ResponseLimits.HeaderBytes {
			return exchange.UpstreamProtocol.With(fields.RuleHeaderSize)
		}
		if end < 0 {
			seen = n - at
			if at, n, err = k.more(at, n); err != nil {
				return k.noAnswer(err)
			}
			buf = k.in.b[:cap(k.in.b)]
			continue
		}
		if at, seen = at+end, 0; x.Response.Status >= 200 || x.Response.Status == 101 {
			return k.final(at, n)
		}
		if interims++; interims > maxInterim {
			return exchange.UpstreamProtocol.With(fields.RuleInterimFlood)
		}
		if x.Informer != nil && (x.Response.Status != 100 || k.asks) {
			if err := x.Informer.Inform(x.Response.Status, &x.Response.Header); err != nil {
				return err
			}
		}
	}
}

// more reads more of a head into k.in, behind the n bytes that are there, after making room.
func (k *call) more(at, n int) (int, int, error) {
	buf := k.in.b[:cap(k.in.b)]
	if n == len(buf) {
		if at > 0 {
			n, at = copy(buf, buf[at:n]), 0
		} else {
			buf = make([]byte, 2*n)
			copy(buf, k.in.b[:n])
			k.in.b = buf
		}
	}
	m, err := k.u.conn.Read(buf[n:])
	if m > 0 {
		return at, n + m, nil
	}
	return at, n, err
}

// final settles the framing of the response whose head ends at base in k.in and of which n bytes have
// been read. RFC 9112 §6.3.
func (k *call) final(base, n int) error {
	p, f := &k.x.Response, &k.f
	if p.Status == 101 {
		return k.upgraded(base, n)
	}
	mode, length := byClose, f.length
	switch {
	case fields.Bodiless(k.x.Request.Method, p.Status):
		mode = byNothing
	case f.chunked:
		mode = byChunks
	case length >= 0:
		mode = byLength
	}
	if p.Status == 204 {
		length = -1
	}
	p.Length = length
	if mode == byChunks {
		p.Length = -1
	}
	k.incoming.begin(k.u.conn, k.in.b[:cap(k.in.b)], base, n, mode, max(length, 0), &p.Trailer)
	k.keep = mode != byClose && !f.closing && (p.Proto == exchange.HTTP11 || f.keepAlive)
	p.Body = k
	return nil
}

// upgraded makes the connection a tunnel. RFC 9110 §7.8.
func (k *call) upgraded(base, n int) error {
	p := &k.x.Response
	if k.x.Request.Upgrade == nil || !k.f.upgrading || !exchange.EqualFold(k.f.upgrade, k.x.Request.Upgrade) {
		return exchange.UpstreamProtocol.Withf("101 without, or other than, the asked for change of protocol")
	}
	k.u.conn.Unread(bytes.Clone(k.in.b[base:n:n]))
	k.u.progress.enter(tunnelled)
	k.tun.call = k
	k.tun.read.Store(false)
	k.tun.written.Store(false)
	p.Tunnel, p.Upgrade, p.Length = &k.tun, k.f.upgrade, -1
	return nil
}

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

// Whole is exchange.Whole.
func (k *call) Whole() ([]byte, bool) {
	p, ok := k.incoming.whole()
	if ok {
		k.x.Record.UpstreamBytes = k.taken + int64(len(p))
	}
	return p, ok
}

// Waits is exchange.Waiter: a body of unknown length may be an event stream.
func (k *call) Waits() bool { return k.r == k.w && !k.over && k.mode != byLength }

// Next is exchange.Body.
func (k *call) Next() ([]byte, error) {
	u := k.u
	if u == nil { // given back already: all is in memory
		p, err := k.incoming.next()
		k.count(len(p))
		return p, err
	}
	u.progress.enter(receiving)
	p, err := k.incoming.next()
	u.progress.enter(busy)
	k.count(len(p))
	if err != nil && err != io.EOF {
		if reason := k.x.Life.Err(); reason != nil {
			return nil, exchange.KindOf(reason).With(err)
		}
		if k.pump != nil {
			if cause := k.pump.failure(); cause != nil {
				return nil, cause
			}
		}
		return nil, u.fault(err)
	}
	return p, err
}

// count notes that n bytes of the body were taken.
func (k *call) count(n int) {
	k.taken += int64(n)
	k.x.Record.UpstreamBytes = k.taken
}

// Close is exchange.Body: it gives the connection back if the response ended cleanly, else closes it.
func (k *call) Close() error {
	if k.u == nil {
		return nil
	}
	if !k.over || k.pump != nil && !k.pump.ended() {
		k.giveUp()
		return nil
	}
	k.finish(k.r)
	return nil
}

// Free is exchange.Freer: the exchange is over.
func (k *call) Free() {
	k.giveUp()
	k.incoming.release()
	k.giveBack()
	k.incoming.buf = nil
	k.pool, k.x, k.pump, k.tun.call = nil, nil, nil, nil
	k.f, k.incoming.trailer, k.incoming.conn = framing{}, nil, nil
	calls.Put(k)
}

// upTunnel is the server's end of a change of protocol.
type upTunnel struct {
	call          *call
	read, written atomic.Bool // to its end
}

// Read reads from the server.
func (t *upTunnel) Read(p []byte) (int, error) {
	n, err := t.call.u.conn.Read(p)
	if err == io.EOF {
		t.read.Store(true)
	}
	return n, err
}

// Write writes to the server.
func (t *upTunnel) Write(p []byte) (int, error) { return tunnelWriter{t.call.u.conn}.Write(p) }

// CloseWrite ends the direction to the server.
func (t *upTunnel) CloseWrite() error {
	t.written.Store(true)
	return t.call.u.conn.CloseWrite()
}

// Close ends both directions, by a reset if they have not come to their end. The connection is never used
// again.
func (t *upTunnel) Close() error {
	if !t.read.Load() || !t.written.Load() {
		t.call.u.conn.Abort()
	}
	t.call.u.interrupt()
	return nil
}
