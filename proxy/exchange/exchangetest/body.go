package exchangetest

import (
	"io"
	"sync"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Body is a body that arrives in pieces. It scribbles over a piece as soon as the next is asked for,
// so that whoever keeps one too long is found out.
type Body struct {
	// Pieces are returned one by each Next.
	Pieces []string
	// Err is what follows the last piece; nil stands for io.EOF.
	Err error
	// Before, when set, runs at the start of every Next, with the number of pieces left.
	Before func(left int)
	// Pulled counts the calls of Next, Closed those of Close.
	Pulled, Closed int

	mu   sync.Mutex
	last []byte
}

// Pieces returns a body of these pieces.
func Pieces(pieces ...string) *Body { return &Body{Pieces: pieces} }

// Next returns the next piece.
func (b *Body) Next() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.last {
		b.last[i] = '!'
	}
	b.last = nil
	if b.Before != nil {
		b.Before(len(b.Pieces))
	}
	b.Pulled++
	if b.Closed > 0 {
		return nil, io.ErrClosedPipe
	}
	if len(b.Pieces) == 0 {
		if b.Err != nil {
			return nil, b.Err
		}
		return nil, io.EOF
	}
	b.last = []byte(b.Pieces[0])
	b.Pieces = b.Pieces[1:]
	return b.last, nil
}

// Close counts itself.
func (b *Body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Closed++
	return nil
}

var _ exchange.Body = (*Body)(nil)

// ReadAll appends the rest of b to dst, up to limit bytes in all; more is BodyTooLarge, with what
// was read so far. The body is not closed.
func ReadAll(dst []byte, b exchange.Body, limit int64) ([]byte, error) {
	if b == nil {
		return dst, nil
	}
	for {
		p, err := b.Next()
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
		dst = append(dst, p...)
		if int64(len(dst)) > limit {
			return dst, exchange.BodyTooLarge
		}
	}
}
