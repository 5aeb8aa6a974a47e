package httpadapter

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// hijacked is our end of a connection that the handler took over. The handler writes a response
// head of its own: with 101 the rest is a tunnel, with any other status a body. The connection that
// the handler holds is one pipe in either direction, so that each can be closed by itself.
type hijacked struct {
	call                   *call
	toHandler, fromHandler net.Conn
	reader                 *bufio.Reader // reads fromHandler
	err                    error         // that the handler panicked; to be read once it is done
	unbind                 func() bool
}

// hijack makes the pipes for c.
func hijack(c *call) (net.Conn, *hijacked) {
	in, toHandler := net.Pipe()
	out, fromHandler := net.Pipe()
	conn := &hijackedConn{
		in: in, out: out,
		local: net.TCPAddrFromAddrPort(c.x.Conn.Local), remote: net.TCPAddrFromAddrPort(c.x.Conn.Peer),
	}
	return conn, &hijacked{call: c, toHandler: toHandler, fromHandler: fromHandler, reader: bufio.NewReader(fromHandler)}
}

// respond reads the head that the handler writes and makes it the response of the exchange.
func (h *hijacked) respond(c *call) error {
	x := c.x
	h.unbind = context.AfterFunc(x.Context(), h.shut)
	response, err := http.ReadResponse(h.reader, &http.Request{Method: x.Request.Method})
	if err != nil {
		h.Close()
		return exchange.Internal.Withf("http handler hijacked the connection and wrote no response: %w", errors.Join(err, h.err))
	}
	r := &x.Response
	if response.StatusCode == http.StatusSwitchingProtocols && len(x.Request.Upgrade) == 0 {
		h.Close()
		return exchange.Internal.With(errors.New("http handler switched protocols though the client did not ask for it"))
	}
	r.Status, r.Proto, r.Length = response.StatusCode, exchange.HTTP11, response.ContentLength
	setHeader(&r.Header, response.Header)
	if response.StatusCode == http.StatusSwitchingProtocols {
		r.Length, r.Tunnel, r.Upgrade = 0, h, []byte(response.Header.Get("Upgrade"))
	} else {
		r.Body = &hijackedBody{h, response, nil}
	}
	return nil
}

// Read reads what the handler writes.
func (h *hijacked) Read(p []byte) (int, error) { return h.reader.Read(p) }

// Write writes to the handler.
func (h *hijacked) Write(p []byte) (int, error) { return h.toHandler.Write(p) }

// CloseWrite lets the handler read to the end.
func (h *hijacked) CloseWrite() error { return h.toHandler.Close() }

// shut makes the handler's reads and writes, and ours, fail.
func (h *hijacked) shut() {
	h.toHandler.Close()
	h.fromHandler.Close()
}

// Close ends both directions and waits for the handler to return.
func (h *hijacked) Close() error {
	h.unbind()
	h.shut()
	h.call.cancel()
	<-h.call.done
	h.call.w.release()
	return nil
}

// hijackedBody is the body of a response that a hijacker wrote.
type hijackedBody struct {
	hijacked *hijacked
	response *http.Response
	buffer   []byte
}

// Next reads what the handler writes, to the end its head promised.
func (b *hijackedBody) Next() ([]byte, error) {
	if b.buffer == nil {
		b.buffer = make([]byte, bufferSize)
	}
	n, err := b.response.Body.Read(b.buffer)
	if n > 0 {
		return b.buffer[:n], nil
	}
	if err == io.EOF {
		setHeader(&b.hijacked.call.x.Response.Trailer, b.response.Trailer)
		return nil, io.EOF
	}
	return nil, exchange.Internal.Withf("hijacked connection: %w", err)
}

// Close ends the connection.
func (b *hijackedBody) Close() error { return b.hijacked.Close() }

// hijackedConn is the handler's end.
type hijackedConn struct {
	in, out       net.Conn
	local, remote net.Addr
}

func (c *hijackedConn) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *hijackedConn) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c *hijackedConn) LocalAddr() net.Addr         { return c.local }
func (c *hijackedConn) RemoteAddr() net.Addr        { return c.remote }

// CloseWrite tells the client that there is no more to come.
func (c *hijackedConn) CloseWrite() error { return c.out.Close() }

// Close ends both directions.
func (c *hijackedConn) Close() error { return errors.Join(c.in.Close(), c.out.Close()) }

func (c *hijackedConn) SetReadDeadline(t time.Time) error  { return c.in.SetReadDeadline(t) }
func (c *hijackedConn) SetWriteDeadline(t time.Time) error { return c.out.SetWriteDeadline(t) }

func (c *hijackedConn) SetDeadline(t time.Time) error {
	return errors.Join(c.in.SetReadDeadline(t), c.out.SetWriteDeadline(t))
}
