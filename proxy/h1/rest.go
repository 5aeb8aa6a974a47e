package h1

import "bytes"

// rest gives back what only messages need, once the protocol has changed and the client has been told: of the
// request and its answer stays what will be told of them at the end.
func (c *conn1) rest() {
	ws := c.ws
	in := &ws.body.incoming
	c.io.Unread(bytes.Clone(in.buf[in.r:in.w])) // what the client sent behind its request
	in.release()
	ws.x.Request.Detach()
	if t, ok := ws.x.Response.Tunnel.(*upTunnel); ok {
		t.call.rest()
	}
	spare := &workspace{in: ws.in}
	ws.in, ws.f, ws.body.incoming = nil, framing{}, incoming{over: true}
	spare.recycle()
}

// recycle keeps the workspace for another exchange, unless it was grown for an unusual one or has lost its buffer.
func (ws *workspace) recycle() {
	if len(ws.in) >= headBuffer && len(ws.in) <= bodyBuffer {
		workspaces.Put(ws)
	}
}

// rest is that of the server's end.
func (k *call) rest() {
	if k.in == nil {
		return
	}
	k.x.Response.Detach()
	k.in.release()
	k.in, k.f, k.incoming.buf = nil, framing{}, nil
}
