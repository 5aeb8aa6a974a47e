package h2

import (
	"io"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// change asks for a change of protocol, by an extended CONNECT. RFC 8441 §4.
func (k *call) change() error {
	x, u := k.x, k.u
	if !u.connects.Load() {
		k.abandon()
		return exchange.UpstreamProtocol.Withf("the server does not change protocol over HTTP/2 (RFC 8441): use http:// or https:// in its URL")
	}
	key := fields.WithdrawKey(&x.Request)
	_, err := k.open(nil, false)
	fields.RestoreKey(&x.Request, key)
	if err != nil {
		return err
	}
	x.Record.Sent = true
	return k.wait()
}

// changed makes the stream the response's tunnel.
func (k *call) changed() error {
	if k.whole {
		return exchange.UpstreamProtocol.Withf("the server changed protocol and ended the stream at once")
	}
	k.u.mu.Lock()
	k.tunnelled = true
	k.u.mu.Unlock()
	k.tun.call = k
	fields.Answer(k.x, &k.tun)
	return nil
}

// upTunnel is the server's end of a change of protocol.
type upTunnel struct {
	call *call
	left []byte // of what came, and was not read
}

// Read reads from the server.
func (t *upTunnel) Read(p []byte) (n int, err error) {
	for len(t.left) == 0 {
		if t.left, err = t.call.Next(); err != nil {
			return 0, err
		}
	}
	n = copy(p, t.left)
	t.left = t.left[n:]
	return n, nil
}

// Next is exchange.Yielder.
func (t *upTunnel) Next() ([]byte, error) { return t.call.Next() }

// Write writes to the server.
func (t *upTunnel) Write(p []byte) (int, error) {
	if !t.call.send(p, false) {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

// CloseWrite ends the direction to the server.
func (t *upTunnel) CloseWrite() error {
	t.call.send(nil, true)
	return nil
}

// Close ends both directions. It may be called by who cancels.
func (t *upTunnel) Close() error {
	u := t.call.u
	u.mu.Lock()
	u.reset(t.call, frame.Cancel, errQuit)
	u.leave()
	return nil
}
