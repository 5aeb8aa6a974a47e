package h1

import (
	"sync"

	"github.com/pergola-mesh/pergola/proxy/listen"
)

var relayBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// inflow is one direction of a tunnel: what arrives on a connection. On the fused path it holds no buffer while
// nothing arrives. It reads until there is nothing: the end may have come together with the last bytes. It leaves
// the callback with what it has read, so that the stack of who writes that stays as small as a stack is made.
type inflow struct {
	conn   *listen.Conn
	stepFn func() bool
	buf    *[32 << 10]byte // nil while there is nothing
	n      int             // how much was read last
	err    error           // and what is behind it
}

func inflowOf(c *listen.Conn) *inflow {
	r := &inflow{conn: c}
	r.stepFn = r.step
	return r
}

// Next is exchange.Yielder. There may be a piece besides an error, which is what every further call returns.
func (r *inflow) Next() ([]byte, error) {
	if r.err != nil {
		r.free()
		return nil, r.err
	}
	if lost := r.conn.Loop(r.stepFn); lost != nil {
		r.free()
		r.err = lost
		return nil, lost
	}
	if r.n == 0 {
		r.free()
		return nil, r.err
	}
	return r.buf[:r.n], r.err
}

// step reads once. It is for Loop.
func (r *inflow) step() bool {
	if r.buf == nil {
		r.buf = relayBuffers.Get().(*[32 << 10]byte)
	}
	if r.n, r.err = r.conn.Read(r.buf[:]); r.err != listen.ErrWouldBlock {
		return true
	}
	r.err = nil
	r.free()
	return false
}

func (r *inflow) free() {
	if r.buf != nil {
		relayBuffers.Put(r.buf)
		r.buf = nil
	}
}
