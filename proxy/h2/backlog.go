package h2

import (
	"sync"

	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// backlog is what of a body has come and nobody has taken, in memory that is pooled, and what was taken last.
type backlog struct {
	chunks []*chunk
	size   int    // bytes in them
	lent   *chunk // what the last take returned
}

// chunk is a part of a body in memory.
type chunk struct {
	n   int
	buf [frame.MinMaxSize]byte
}

func (k *chunk) bytes() []byte { return k.buf[:k.n:k.n] }

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// push keeps a copy of p. Small pieces share memory: there is never much more of it than there is data.
func (l *backlog) push(p []byte) {
	l.size += len(p)
	for len(p) > 0 {
		n := len(l.chunks)
		if n == 0 || l.chunks[n-1].n == len(l.chunks[n-1].buf) {
			k := chunks.Get().(*chunk)
			k.n = 0
			l.chunks = append(l.chunks, k)
			n++
		}
		k := l.chunks[n-1]
		m := copy(k.buf[k.n:], p)
		k.n += m
		p = p[m:]
	}
}

// empty reports whether there is nothing to take.
func (l *backlog) empty() bool { return len(l.chunks) == 0 }

// whole returns all there is, for as long as nothing is pushed, if it is in one piece.
func (l *backlog) whole() ([]byte, bool) {
	switch len(l.chunks) {
	case 0:
		return nil, true
	case 1:
		return l.chunks[0].bytes(), true
	}
	return nil, false
}

// take returns the next piece, which is the caller's until takeBack. There must be one, and none lent.
func (l *backlog) take() []byte {
	l.lent = l.chunks[0]
	l.chunks = l.chunks[:copy(l.chunks, l.chunks[1:])]
	l.size -= l.lent.n
	return l.lent.bytes()
}

// takeBack frees what take has lent, and returns how much that was. It touches nothing that push does.
func (l *backlog) takeBack() (n int) {
	if k := l.lent; k != nil {
		l.lent, n = nil, k.n
		chunks.Put(k)
	}
	return n
}

// discard frees what nobody has taken, and returns how much that was.
func (l *backlog) discard() (n int) {
	n = l.size
	for i, k := range l.chunks {
		chunks.Put(k)
		l.chunks[i] = nil
	}
	l.chunks, l.size = l.chunks[:0], 0
	return n
}
