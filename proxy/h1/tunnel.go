package h1

import (
	"cmp"
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
	c.part(closes)
	head := takeBuffer()
	out := appendStatusLine(head.b, x.Response.Status)
	out = x.Response.Header.AppendTo(out)
	if x.Response.Status == 101 {
		out = append(out, "Connection: Upgrade\r\nUpgrade: "...)
		out = append(out, x.Response.Upgrade...)
		out = append(out, crlf...)
	}
	head.b = append(out, crlf...)
	c.enter(writing)
	err := c.send(head.b, nil)
	head.release()
	if err != nil {
		c.cut(x, err)
		return
	}
	c.enter(tunnelled)
	c.io.Unread(ws.in[ws.body.r:ws.body.w]) // what the client sent behind its request
	ws.body.r, ws.body.w = 0, 0
	both := tunnelCanceler{c.io, t}
	if err := c.life.Bind(both); err != nil {
		both.Cancel(err)
		c.cut(x, err)
		return
	}
	defer c.life.Bind(nil)
	// The first failure ends both directions, and is the one that counts.
	var broken error
	var once sync.Once
	fail := func(err error) {
		once.Do(func() { broken = err })
		both.Cancel(err)
	}
	var up sync.WaitGroup
	up.Go(func() {
		var err error
		if x.Record.RequestBytes, err = relay(c.io, t); err != nil {
			fail(c.tunnelFault(err, true))
		} else {
			t.CloseWrite()
		}
	})
	far, ours := t.(*upTunnel)
	if ours {
		x.Record.ResponseBytes, err = relay(far.call.u.conn, tunnelWriter{c.io})
		far.read.Store(err == nil)
	} else {
		x.Record.ResponseBytes, err = copyAll(c.io.Net(), t)
	}
	if err != nil {
		fail(c.tunnelFault(err, false))
	} else {
		c.io.CloseWrite()
	}
	up.Wait()
	if broken != nil {
		// Not to be taken for the end of what was said: nobody but the two ends could tell.
		c.cut(x, cmp.Or(c.life.Err(), broken))
	}
	ws.body.count.Store(x.Record.RequestBytes)
}

// tunnelFault names an error of the direction from the client or to it, after the end that failed.
func (c *conn1) tunnelFault(err error, fromClient bool) error {
	var w unwritten
	if errors.As(err, &w) == fromClient {
		return exchange.UpstreamReset.With(err)
	}
	return c.fault(err).With(err)
}

// unwritten is the error of an end that did not take what came from the other.
type unwritten struct{ error }

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

// tunnelWriter writes to a connection while the other direction reads from it. What an error leaves unsaid is how
// much of p has gone: the tunnel ends with it.
type tunnelWriter struct{ conn *listen.Conn }

func (w tunnelWriter) Write(p []byte) (int, error) { return len(p), w.conn.Send(p) }

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
				if _, werr := dst.Write(buf[:m]); werr != nil {
					err = unwritten{werr}
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
func copyAll(dst io.Writer, src io.Reader) (n int64, err error) {
	buf := relayBuffers.Get().(*[32 << 10]byte)
	defer relayBuffers.Put(buf)
	for {
		m, err := src.Read(buf[:])
		if m > 0 {
			n += int64(m)
			if _, werr := dst.Write(buf[:m]); werr != nil {
				return n, unwritten{werr}
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
