package retry

import (
	"io"
	"sync"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// replay is a body that remembers what was read of it. One goroutine at a time reads it, not always
// the same: a service may send a body from a goroutine of its own, and closes it to stop that one.
type replay struct {
	from exchange.Body
	max  int64 // bytes to remember, -1 for all

	mu       sync.Mutex
	recorded []byte
	next     int   // where in recorded the reader is
	err      error // how the body ended
	began    bool
	lost     bool // what is remembered is not the whole beginning
	reading  bool // somebody waits for the client
	closed   bool // this attempt wants no more
}

// Next returns what is remembered, then what comes.
func (b *replay) Next() ([]byte, error) {
	if p, known, err := b.remembered(); known {
		return p, err
	}
	p, err := b.from.Next()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	switch {
	case err != nil:
		b.err = err
		b.lost = b.lost || err != io.EOF // whatever another attempt does, it ends the same
	case b.lost:
	case b.max >= 0 && int64(len(b.recorded)+len(p)) > b.max:
		b.lost, b.recorded, b.next = true, nil, 0
	default:
		b.recorded = append(b.recorded, p...)
		b.next = len(b.recorded)
	}
	return p, err
}

// remembered is what Next returns without the client; else known is false, and the client is being read.
func (b *replay) remembered() (p []byte, known bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, true, io.ErrClosedPipe
	case b.next < len(b.recorded):
		p, b.next = b.recorded[b.next:], len(b.recorded)
		return p, true, nil
	case b.err != nil:
		return nil, true, b.err
	}
	b.began, b.reading = true, true
	return nil, false, nil
}

// Close makes this attempt's reads fail and leaves the body open for another; unless somebody waits
// for the client, who can only be stopped by closing it for good.
func (b *replay) Close() error {
	b.mu.Lock()
	b.closed = true
	reading := b.reading
	b.lost = b.lost || reading
	b.mu.Unlock()
	if reading {
		return b.from.Close()
	}
	return nil
}

// hold ends this attempt's reading and reports whether the body can be sent again: it cannot while somebody
// waits for the client.
func (b *replay) hold() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost || b.reading {
		return false
	}
	b.closed = true
	return true
}

func (b *replay) isLost() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// rewind is the body from its beginning for another attempt.
func (b *replay) rewind(trailers bool) exchange.Body {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == io.EOF && !trailers {
		return exchange.NewBytes(b.recorded)
	}
	b.next, b.closed = 0, false
	return b
}
