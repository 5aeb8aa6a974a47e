package h2

import (
	"errors"
	"os"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// fail makes an error of the connection its end. RFC 9113 §5.4.1.
func (c *downConn) fail(e *frame.Error) {
	c.srv.refused(e.Rule)
	c.srv.Logger.Debug("connection refused", "client", c.info.PeerText, "rule", e.Rule, "code", e.Code.String())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.failed != nil {
		return
	}
	c.failed = e
	c.goAway(c.highest, e.Code, e.Rule)
}

// end closes the connection and waits until its streams' goroutines have ended. Not from inside a sweep.
func (c *downConn) end() {
	c.mu.Lock()
	gone := c.lost != nil && !interrupted(c.lost)
	polite := !gone && !c.srv.killed.Load()
	if polite && c.failed == nil && c.final == maxStream {
		c.goAway(c.highest, frame.NoError, "")
	}
	c.over = true
	if gone {
		c.giveUp(exchange.ClientAbort)
	} else {
		c.giveUp(exchange.Draining)
	}
	if polite {
		c.io.Net().SetWriteDeadline(time.Now().Add(listen.LingerTime))
	} else {
		c.io.InterruptWrite()
	}
	c.unblock()
	for c.flushing {
		c.quiet.Wait()
	}
	out := c.out
	c.out = nil
	c.mu.Unlock()
	c.begin() // what had come is told so
	if polite && (out == nil || c.io.Send(out.p) == nil) {
		c.io.Linger()
	}
	c.giveBack()
	c.srv.sweeper.Remove(c.ticket)
	c.io.Close()
	c.mu.Lock()
	for c.working > 0 {
		c.quiet.Wait()
	}
	c.mu.Unlock()
	c.done() // before whoever waits for the last connection may go on
	c.srv.active.Add(-1)
}

// giveUp cancels all streams. With the lock.
func (c *downConn) giveUp(reason error) {
	for _, s := range c.streams {
		s.drop(byUs, reason)
	}
}

func interrupted(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
