package listen

import (
	"errors"
	"io"
)

// ErrTruncated is an end of the stream that the peer did not announce with close_notify: what was read
// may be a part of what it sent. RFC 8446 §6.1.
var ErrTruncated = errors.New("the TLS connection ended without close_notify")

func (c *Conn) readTLS(p []byte) (int, error) {
	n, err := c.tls.Read(p)
	if err == io.EOF && c.w.ended {
		err = ErrTruncated
	}
	return n, err
}

const (
	// shortRecord is a plaintext that never takes more than one record, longRecord the longest there is.
	shortRecord, longRecord = 1 << 10, 16 << 10
	// boosted is after how many bytes crypto/tls makes records as long as they can be.
	boosted = 256 << 10
)

// writeTLS writes a and b in as few records as they take, and all records together.
func (c *Conn) writeTLS(a, b []byte) error {
	if len(b) > 0 && cap(a)-len(a) >= len(b) {
		a, b = append(a, b...), nil
	}
	w := c.w
	long := w.sent > boosted
	if !long {
		w.sent += len(a) + len(b)
	}
	if c.in && len(b) == 0 && (len(a) <= shortRecord || long && len(a) <= longRecord) {
		w.direct = true
		_, err := c.tls.Write(a)
		w.direct = false
		return err
	}
	w.cork(c.in)
	_, err := c.tls.Write(a)
	if err == nil && len(b) > 0 {
		_, err = c.tls.Write(b)
	}
	if lost := w.uncork(); err == nil {
		err = lost
	}
	return err
}

// sendTLS is Send over TLS.
func (c *Conn) sendTLS(p []byte) error {
	if len(p) <= shortRecord {
		_, err := c.tls.Write(p)
		return err
	}
	c.w.cork(false)
	_, err := c.tls.Write(p)
	if lost := c.w.uncork(); err == nil {
		err = lost
	}
	return err
}

// writeRecord writes whole records inside Loop, without a detour if the socket takes it.
func (c *Conn) writeRecord(p []byte) (int, error) {
	n, err := rawWrite2(c.fd, p, nil)
	if n == len(p) || err != nil && err != ErrWouldBlock {
		return n, err
	}
	m, err := c.net.Write(p[n:])
	return n + m, err
}

// cork keeps records until uncork. inside says that both are called inside Loop.
func (w *wire) cork(inside bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out, w.inside = corkBuffers.Get().(*[]byte), inside
}

// flush writes what has been kept. w.mu is held.
func (w *wire) flush() (err error) {
	if w.inside {
		_, err = w.conn.writeRecord(*w.out)
	} else {
		_, err = w.conn.net.Write(*w.out)
	}
	*w.out = (*w.out)[:0]
	return err
}

// uncork writes what has been kept.
func (w *wire) uncork() (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(*w.out) > 0 {
		err = w.flush()
	}
	corkBuffers.Put(w.out)
	w.out = nil
	return err
}

// callStepTLS is callStep over TLS. It looks at what is here already: that is no answer but perhaps a
// ticket for another session, or a farewell behind which nobody would answer.
func (c *Conn) callStepTLS(fd uintptr) bool {
	k := &c.asks.call
	c.fd, c.in = fd, true
	defer func() { c.in = false }()
	if !k.sent {
		if c.w.ahead() || readable(fd) {
			if c.unasked() {
				k.err = errDirty
				return true
			}
			if c.w.midway() {
				return false // the rest of a record is on its way
			}
		}
		k.sent = true
		if k.err = c.writeTLS(k.out, nil); k.err != nil {
			return true
		}
		k.caller.Wait()
		return false
	}
	k.n, k.err = c.readTLS(k.caller.Room())
	if k.err == ErrWouldBlock {
		k.err = nil
		k.caller.Wait()
		return false
	}
	return true
}

// errDirty is a connection on which something came, or that ended, before anything was asked.
var errDirty = errors.New("the connection was closed, or had something to say, before it was used")

// unasked reports whether something has come that a peer does not send unasked; tickets are taken. It is
// called with the descriptor at hand.
func (c *Conn) unasked() bool {
	_, err := c.tls.Read(c.asks.probe[:])
	return err != ErrWouldBlock
}

// lookTLS is look over TLS.
func (c *Conn) lookTLS(fd uintptr) {
	k := c.asks
	if k.dirty = c.w.ahead() || readable(fd); k.dirty {
		c.fd, c.in = fd, true
		k.dirty = c.unasked() || c.w.midway()
		c.in = false
	}
}

// closeTLS says farewell, unless the connection was interrupted, and closes.
func (c *Conn) closeTLS() error {
	c.w.leaving.Store(true)
	return c.tls.Close()
}
