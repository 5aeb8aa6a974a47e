package h1

import "sync"

// buffer is memory for a head on its way out, with what is small behind it, or for the beginning of an
// answer. It is taken for as long as there is something in it and no longer: while an exchange waits, others
// come by, and what these touch is still in the processor's caches if it was somebody's a moment ago.
type buffer struct {
	b []byte // empty in the pool
}

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, headBuffer)} }}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

// release gives the buffer back, unless it has grown for an unusual message. There may be none.
func (b *buffer) release() {
	if b != nil && cap(b.b) <= bodyBuffer {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}
