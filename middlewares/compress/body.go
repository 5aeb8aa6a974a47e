package compress

import (
	"io"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// smallChunk is what is flushed at once even where the whole length is known, in bytes: so little
// comes of a server that is thinking.
const smallChunk = 4096

// body compresses another as it is pulled. It gives out everything that came before it waits for
// more, so that events and the like are not held back.
type body struct {
	from    exchange.Body
	coding  *coding
	encoder *encoder // nil once given back
	left    int64    // bytes still to come, negative when unknown
	eager   bool     // the length was unknown: each chunk may be the last for long
	ended   bool     // all is in the encoder's output
	taken   bool     // the output was returned
}

// Next returns what is compressed of the next chunks.
func (b *body) Next() ([]byte, error) {
	e := b.encoder
	if e == nil {
		return nil, io.ErrClosedPipe
	}
	if b.taken {
		e.out, b.taken = e.out[:0], false
	}
	for len(e.out) == 0 {
		if b.ended {
			return nil, io.EOF
		}
		if err := b.pull(); err != nil {
			return nil, err
		}
	}
	b.taken = true
	return e.out, nil
}

// pull compresses a chunk.
func (b *body) pull() error {
	e := b.encoder
	p, err := b.from.Next()
	if err == io.EOF {
		b.ended = true
		return e.compressor.Close()
	}
	if err != nil {
		return err
	}
	if _, err := e.compressor.Write(p); err != nil {
		return exchange.Internal.With(err)
	}
	if b.left >= 0 {
		b.left -= int64(len(p))
	}
	if b.eager && !b.isWhole() || !b.eager && b.left > 0 && len(p) < smallChunk {
		return e.compressor.Flush()
	}
	return nil
}

// isWhole reports whether what is left will not be waited for.
func (b *body) isWhole() bool {
	_, whole := exchange.WholeOf(b.from)
	return whole
}

// encodeWhole compresses all of a body; false when that did not make it smaller.
func (b *body) encodeWhole(content []byte) bool {
	e := b.encoder
	_, err := e.compressor.Write(content)
	if err == nil {
		err = e.compressor.Close()
	}
	b.ended = true
	return err == nil && len(e.out) < len(content)
}

// Whole returns the output when there will be no more.
func (b *body) Whole() ([]byte, bool) {
	if b.encoder == nil || !b.ended {
		return nil, false
	}
	if b.taken {
		return nil, true
	}
	return b.encoder.out, true
}

// Waits reports whether there is nothing to give out before the next chunk came.
func (b *body) Waits() bool {
	if b.encoder == nil || b.ended || len(b.encoder.out) > 0 && !b.taken {
		return false
	}
	w, ok := b.from.(exchange.Waiter)
	return ok && w.Waits()
}

// Close gives the encoder back and closes the body that was compressed.
func (b *body) Close() error {
	b.giveBack()
	return b.from.Close()
}

func (b *body) giveBack() {
	if b.encoder != nil {
		b.encoder.reset()
		b.coding.pool.Put(b.encoder)
		b.encoder = nil
	}
}
