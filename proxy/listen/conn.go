// Package listen is the edge between sockets and codecs: fused raw I/O, accepting with caps, the
// PROXY protocol, and what can be asked of a peer from outside its goroutine.
package listen

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrWouldBlock is what Read answers inside Loop when there is nothing to read yet. The step must
// then return false. It is a temporary net.Error: crypto/tls then asks again later.
var ErrWouldBlock error = wouldBlock{}

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "would block" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

var _ net.Error = wouldBlock{}

// Conn is a connection with fused I/O: where the platform allows it, a whole keep-alive loop runs
// inside one RawConn.Read callback, so that a request costs one read and one write and no probe for
// EAGAIN. On other platforms and for other kinds of net.Conn the same methods work on plain
// blocking calls. TLS runs inside the loop too (Wire).
//
// The descriptor's read lock is held inside Loop: a step must never wait for its own connection, nor
// close it. It returns true first and goes on outside.
type Conn struct {
	net net.Conn        // the socket
	tls *tls.Conn       // what is read and written then goes through it; nil on plaintext
	w   *wire           // what tls runs over; nil on plaintext
	raw syscall.RawConn // nil on the portable path
	fd  uintptr         // valid while inside

	step   func() bool
	loopFn func(uintptr) bool
	asks   *asking     // of a connection to a server; nil until it is first asked something
	slow   *writing    // of one whose peer did not take all at once; nil until then
	ahead  []byte      // bytes read before the codec came: what a PROXY header or a sniffer left
	lent   *readBuffer // what ahead lies in, when it goes back to the pool

	slot    int32       // where in the parking lot
	aborted atomic.Bool // Close resets
	in      bool        // inside Loop, on the fused path
	watched bool        // the lot's epoll has the descriptor
}

// asking is what Call and Dirty need.
type asking struct {
	callFn  func(uintptr) bool
	dirtyFn func(uintptr)
	dirty   bool // what dirtyFn found
	call    call
	probe   [1]byte // of unasked
}

// call is the state of one Call.
type call struct {
	out, in []byte
	sent    bool
	n       int
	err     error
}

// writing is what is left to be written, and waits for the peer.
type writing struct {
	fn   func(uintptr) bool
	rest [2][]byte
	err  error
}

// NewConn wraps c. ahead, if any, is returned by the first reads. Of a *tls.Conn that was made over a
// Wire it returns the Conn that the Wire is of, which is then one of TLS.
func NewConn(c net.Conn, ahead []byte) *Conn {
	if t, ok := c.(*tls.Conn); ok {
		if w, ok := t.NetConn().(*wire); ok {
			w.conn.tls = t
			w.conn.ahead = ahead
			return w.conn
		}
	}
	lc := &Conn{net: c, ahead: ahead}
	if !fused {
		return lc
	}
	// By type: what merely embeds a socket may read and write in a way of its own.
	switch socket := c.(type) {
	case *net.TCPConn:
		lc.raw, _ = socket.SyscallConn()
	case *net.UnixConn:
		lc.raw, _ = socket.SyscallConn()
	}
	return lc
}

// Unread makes p, which is kept, the next thing that is read.
func (c *Conn) Unread(p []byte) { c.ahead = append(p[:len(p):len(p)], c.ahead...) }

// Ahead reports whether a Read may return something without that the socket has to become readable:
// there are bytes that were read before, or records of TLS.
func (c *Conn) Ahead() bool { return len(c.ahead) > 0 || c.tls != nil && c.w.ahead() }

// Midway reports whether the beginning of a record of TLS has arrived, of which nothing can be read yet.
func (c *Conn) Midway() bool { return c.tls != nil && c.w.midway() }

// Inside reports whether the caller is inside a fused Loop, where it must not wait for this connection.
func (c *Conn) Inside() bool { return c.in }

// Net is the connection as an ordinary one: for deadlines, and for writes from a goroutine other than
// the one that runs Loop.
func (c *Conn) Net() net.Conn {
	if c.tls != nil {
		return c.tls
	}
	return c.net
}

// TLS is the connection of TLS; nil on plaintext.
func (c *Conn) TLS() *tls.Conn { return c.tls }

// Fused reports whether the fused path is in use.
func (c *Conn) Fused() bool { return c.raw != nil }

// Loop runs step whenever the connection may have something to read, until step returns true. A
// step reads until ErrWouldBlock, or until a read that did not fill its buffer and was not of what is
// Ahead, and then returns false. After such a short read an end of the stream that came together with
// the data is not noticed: a step that cannot do without it reads until ErrWouldBlock.
// The error is the connection's: a deadline that passed, or that it was closed.
func (c *Conn) Loop(step func() bool) error {
	if c.raw == nil {
		for !step() {
		}
		return nil
	}
	c.step = step
	if c.loopFn == nil {
		c.loopFn = func(fd uintptr) bool {
			c.fd, c.in = fd, true
			done := c.step()
			c.in = false
			return done
		}
	}
	return c.raw.Read(c.loopFn)
}

// Read reads once. Inside a fused Loop it answers ErrWouldBlock rather than wait.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
			c.releaseAhead()
		}
		return n, nil
	}
	if c.tls != nil {
		return c.readTLS(p)
	}
	if !c.in {
		return c.net.Read(p)
	}
	return ReadNow(c.fd, p)
}

func (c *Conn) releaseAhead() {
	c.ahead = nil
	if c.lent != nil {
		readBuffers.Put(c.lent)
		c.lent = nil
	}
}

// Write writes all of p, and waits as long as the write deadline lets it. It is for the goroutine that
// runs Loop, if one does; others write to Net.
func (c *Conn) Write(p []byte) error { return c.Write2(p, nil) }

// Write2 writes all of a and then b, in one system call if the socket takes it. It may use a's spare
// capacity.
func (c *Conn) Write2(a, b []byte) error {
	if c.tls != nil {
		return c.writeTLS(a, b)
	}
	if len(b) > 0 && len(b) <= joined && cap(a)-len(a) >= len(b) {
		a, b = append(a, b...), nil
	}
	if c.raw == nil {
		return c.writePortable(a, b)
	}
	if c.in {
		n, err := rawWrite2(c.fd, a, b)
		if err != nil && err != ErrWouldBlock {
			return err
		}
		if n == len(a)+len(b) {
			return nil
		}
		a, b = cut(a, b, n)
	}
	return c.writeOn(a, b)
}

// Offer writes as much of p as the socket takes without waiting, which over TLS is nothing. Inside Loop
// only.
func (c *Conn) Offer(p []byte) (int, error) {
	if !c.in || c.tls != nil {
		return 0, nil
	}
	n, err := rawWrite2(c.fd, p, nil)
	if err == ErrWouldBlock {
		err = nil
	}
	return n, err
}

// Send is Write for a goroutine other than the one that runs Loop, one at a time. A connection that is
// sent on is not also written to, but for Offer while nobody sends.
func (c *Conn) Send(p []byte) error {
	switch {
	case c.tls != nil:
		return c.sendTLS(p)
	case c.raw == nil:
		_, err := c.net.Write(p)
		return err
	}
	return c.writeOn(p, nil)
}

// writeOn writes a and b, and waits where it must.
func (c *Conn) writeOn(a, b []byte) error {
	w := c.slow
	if w == nil {
		w = &writing{}
		w.fn = w.step
		c.slow = w
	}
	w.rest, w.err = [2][]byte{a, b}, nil
	err := c.raw.Write(w.fn)
	w.rest = [2][]byte{}
	if err == nil {
		err = w.err
	}
	return err
}

func (w *writing) step(fd uintptr) bool {
	for {
		n, err := rawWrite2(fd, w.rest[0], w.rest[1])
		w.rest[0], w.rest[1] = cut(w.rest[0], w.rest[1], n)
		if err == ErrWouldBlock {
			return false
		}
		if err != nil || len(w.rest[0])+len(w.rest[1]) == 0 {
			w.err = err
			return true
		}
	}
}

// joined is up to how many bytes copying is cheaper than a vectored write.
const joined = 4 << 10

// writePortable writes a and b in one call where a's spare capacity takes b.
func (c *Conn) writePortable(a, b []byte) error {
	if len(b) > 0 && len(a) > 0 && cap(a)-len(a) >= len(b) {
		a, b = append(a, b...), nil
	}
	if len(a) > 0 {
		if _, err := c.net.Write(a); err != nil || len(b) == 0 {
			return err
		}
	}
	_, err := c.net.Write(b)
	return err
}

// cut drops the first n bytes of a then b.
func cut(a, b []byte, n int) ([]byte, []byte) {
	if n <= 0 {
		return a, b
	}
	if n < len(a) {
		return a[n:], b
	}
	return nil, b[n-len(a):]
}

// Call writes out and reads the beginning of the answer into in, with one wait. What has arrived unread
// before is taken for the answer: ask Dirty where that may be. The count of a failed call is 0; sent says
// whether any byte of out may have left.
func (c *Conn) Call(out, in []byte) (n int, sent bool, err error) {
	if c.raw == nil {
		if err = c.Write(out); err != nil {
			return 0, true, err
		}
		n, err = c.Read(in)
		return n, true, err
	}
	k := c.ask()
	k.call = call{out: out, in: in}
	err = c.raw.Read(k.callFn)
	n, sent = k.call.n, k.call.sent
	if err == nil {
		err = k.call.err
	}
	k.call = call{}
	return n, sent, err
}

func (c *Conn) ask() *asking {
	if c.asks == nil {
		c.asks = &asking{callFn: c.callStep, dirtyFn: c.look}
		if c.tls != nil {
			c.asks.callFn, c.asks.dirtyFn = c.callStepTLS, c.lookTLS
		}
	}
	return c.asks
}

func (c *Conn) callStep(fd uintptr) bool {
	k := &c.asks.call
	if !k.sent {
		k.sent = true
		n, err := rawWrite2(fd, k.out, nil)
		switch {
		case err == nil && n == len(k.out):
			return false
		case err != nil && err != ErrWouldBlock:
			k.err, k.sent = err, false // the connection was dead already: nothing left
			return true
		}
		// The socket is full: go on in the ordinary way, and wait for the answer as usual.
		if k.err = c.Write2(k.out[n:], nil); k.err != nil {
			return true
		}
	}
	k.n, k.err = ReadNow(fd, k.in)
	if k.err == ErrWouldBlock {
		k.err = nil
		return false
	}
	return true
}

// Close closes the connection. Never from inside Loop. A buffer with something unread is left to the
// garbage collector: another goroutine may be reading.
func (c *Conn) Close() error {
	if c.aborted.Load() {
		return bottom(c.net).Close() // without the farewell of TLS, which would make it look complete
	}
	if c.tls != nil {
		return c.closeTLS()
	}
	return c.net.Close()
}

// CloseWrite ends the sending direction, where the connection can.
func (c *Conn) CloseWrite() error {
	if c.tls != nil {
		c.w.leaving.Store(true)
		if err := c.tls.CloseWrite(); err != nil {
			return err
		}
	}
	if cw, ok := c.net.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return nil
}

// Abort makes a later Close reset the connection, so that the peer cannot take what it got for whole.
func (c *Conn) Abort() {
	c.aborted.Store(true)
	if t, ok := bottom(c.net).(interface{ SetLinger(int) error }); ok {
		t.SetLinger(0)
	}
}

// bottom is the connection that c, perhaps one of TLS, is made of.
func bottom(c net.Conn) net.Conn {
	for {
		over, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = over.NetConn()
	}
}

var past = time.Unix(1, 0)

// Interrupt makes reads that wait, now and later, fail. From any goroutine.
func (c *Conn) Interrupt() { c.net.SetReadDeadline(past) }

// InterruptWrite makes writes that wait, now and later, fail. From any goroutine.
func (c *Conn) InterruptWrite() {
	if c.w != nil {
		c.w.cut.Store(true)
	}
	c.net.SetWriteDeadline(past)
}

// Resume takes Interrupt and InterruptWrite back. A write of TLS that was interrupted has broken the
// connection for good.
func (c *Conn) Resume() { c.net.SetDeadline(time.Time{}) }

// PeerGone reports whether the peer has closed or reset the connection, as far as can be seen
// without reading. From any goroutine. Where the platform cannot tell it is false.
func (c *Conn) PeerGone() bool {
	if c.raw == nil {
		return peerGonePortable(c.net)
	}
	gone := false
	if err := c.raw.Control(func(fd uintptr) { gone = peerGone(fd) }); err != nil {
		return true
	}
	return gone
}

// Dirty reports whether an idle connection is unfit for use: closed by the peer, or with bytes
// waiting that nobody asked for. It costs a system call. For one goroutine at a time.
func (c *Conn) Dirty() bool {
	if c.raw == nil {
		return peerGonePortable(c.net)
	}
	k := c.ask()
	err := c.raw.Control(k.dirtyFn)
	return err != nil || k.dirty
}

func (c *Conn) look(fd uintptr) { c.asks.dirty = readable(fd) }

func peerGonePortable(c net.Conn) bool {
	sc, ok := bottom(c).(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	if err := raw.Control(func(fd uintptr) { gone = peerGone(fd) }); err != nil {
		return true
	}
	return gone
}
