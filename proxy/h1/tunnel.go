package h1

import (
	"errors"
	"io"
	"sync"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// tunnel answers with a change of protocol and relays bytes both ways until both ends have closed.
// RFC 9110 §7.8.
func (c *conn1) tunnel(x *exchange.Exchange) {
	ws, t := c.ws, x.Response.Tunnel
	c.closing = true
	out := appendStatusLine(ws.out[:0], x.Response.Status)
	out = x.Response.Header.AppendTo(out)
	if x.Response.Status == 101 {
		out = append(out, "Connection: Upgrade\r\nUpgrade: "...)
		out = append(out, x.Response.Upgrade...)
		out = append(out, crlf...)
	}
	c.enter(writing)
	if err := c.send(append(out, crlf...), nil); err != nil {
		c.cut(x, err)
		return
	}
	c.enter(tunnelled)
	c.io.Unread(ws.in[ws.body.r:ws.body.w]) // what the client sent behind its request
	ws.body.r, ws.body.w = 0, 0
	both := tunnelCanceler{c.io, t}
	if c.life.Bind(both) != nil {
		return
	}
	defer c.life.Bind(nil)
	var up sync.WaitGroup
	up.Go(func() {
		var err error
		if x.Record.RequestBytes, err = relay(c.io, t); err != nil {
			both.Cancel(err)
		} else {
			t.CloseWrite()
		}
	})
	var err error
	if far, ok := t.(*upTunnel); ok {
		x.Record.ResponseBytes, err = relay(far.call.u.conn, c.io.Net())
	} else {
		x.Record.ResponseBytes, err = copyAll(c.io.Net(), t)
	}
	if err != nil {
		both.Cancel(err)
	} else {
		c.io.CloseWrite()
	}
	up.Wait()
	ws.body.count.Store(x.Record.RequestBytes)
}

// tunnelCanceler ends a tunnel, whatever either direction waits for.
type tunnelCanceler struct {
	near *listen.Conn
	far  exchange.Tunnel
}

// Cancel interrupts both ends.
func (t tunnelCanceler) Cancel(error) {
	t.near.Interrupt()
	t.near.InterruptWrite()
	if far, ok := t.far.(*upTunnel); ok {
		far.call.u.interrupt()
	} else {
		t.far.Close()
	}
}

var relayBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// relay copies what arrives on src to dst until src ends. On the fused path it holds no buffer while
// nothing arrives. It reads until there is nothing: the end may have come together with the last bytes.
func relay(src *listen.Conn, dst io.Writer) (n int64, err error) {
	lost := src.Loop(func() bool {
		buf := relayBuffers.Get().(*[32 << 10]byte)
		defer relayBuffers.Put(buf)
		for {
			m, rerr := src.Read(buf[:])
			if rerr == listen.ErrWouldBlock {
				return false
			}
			if m > 0 {
				n += int64(m)
				if _, err = dst.Write(buf[:m]); err != nil {
					return true
				}
			}
			if rerr != nil {
				if rerr != io.EOF {
					err = rerr
				}
				return true
			}
		}
	})
	return n, errors.Join(err, lost)
}

// copyAll is relay for what is not a connection of ours.
func copyAll(dst io.Writer, src io.Reader) (int64, error) {
	buf := relayBuffers.Get().(*[32 << 10]byte)
	defer relayBuffers.Put(buf)
	return io.CopyBuffer(dst, src, buf[:])
}
