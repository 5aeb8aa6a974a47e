package h1

import (
	"sync"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// workspace is what an exchange in progress needs. It is pooled, so that idle connections hold none.
type workspace struct {
	x    exchange.Exchange
	f    framing
	in   []byte // read buffer; in[r:w] is unread
	r, w int
	seen int     // how far in[r:w] was searched for the end of a head
	out  *buffer // for the response; nil until it begins
	body requestBody
}

var workspaces = sync.Pool{New: func() any {
	return &workspace{in: make([]byte, headBuffer)}
}}

func (c *conn1) takeWorkspace() *workspace {
	if c.ws == nil {
		c.ws = workspaces.Get().(*workspace)
	}
	return c.ws
}

// giveBack returns the workspace to the pool.
func (c *conn1) giveBack() {
	ws := c.ws
	if ws == nil {
		return
	}
	c.ws = nil
	ws.r, ws.w, ws.seen = 0, 0, 0
	ws.x.Request.Body, ws.x.Response.Body, ws.x.Record = nil, nil, exchange.Record{}
	ws.recycle()
}
