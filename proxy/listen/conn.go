// Package listen is the edge between sockets and codecs: fused raw I/O, accepting with caps, the
// PROXY protocol, and what can be asked of a peer from outside its goroutine.
package listen

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"syscall"
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
	queued  int32       // of Taken: the bytes that waited when it last said so
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
