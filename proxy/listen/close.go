package listen

import (
	"net"
	"time"
)

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
