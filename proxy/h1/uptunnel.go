package h1

import (
	"bytes"
	"io"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// upTunnel is the server's end of a change of protocol.
type upTunnel struct {
	call          *call
	in            *inflow     // of Next
	read, written atomic.Bool // to its end
}

// upgraded makes the connection a tunnel. The request's body, if it has one, is sent to its end first. RFC 9110 §7.8.
func (k *call) upgraded(base, n int) error {
	p := &k.x.Response
	if !k.f.upgrading || !k.x.Request.Offers(k.f.upgrade) || exchange.EqualFold(k.f.upgrade, "h2c") {
		return exchange.UpstreamProtocol.Withf("101 without, or other than, the asked for change of protocol")
	}
	if k.pump != nil {
		if <-k.pump.done; !k.pump.ok {
			return k.noAnswer(nil)
		}
	}
	k.u.conn.Unread(bytes.Clone(k.in.b[base:n:n]))
	k.u.progress.enter(tunnelled)
	k.tun.call = k
	k.tun.read.Store(false)
	k.tun.written.Store(false)
	p.Tunnel, p.Upgrade, p.Length = &k.tun, k.f.upgrade, -1
	return nil
}

// Read reads from the server.
func (t *upTunnel) Read(p []byte) (int, error) {
	n, err := t.call.u.conn.Read(p)
	if err == io.EOF {
		t.read.Store(true)
	}
	return n, err
}

// Next is exchange.Yielder. The client has its answer by then: what the answer came in is given back.
func (t *upTunnel) Next() ([]byte, error) {
	if t.in == nil {
		t.call.rest()
		t.in = inflowOf(t.call.u.conn)
	}
	p, err := t.in.Next()
	if err == io.EOF {
		t.read.Store(true)
	}
	return p, err
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
