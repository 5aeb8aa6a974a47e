package h3

import (
	"io"
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h3/frame"
	"github.com/pergola-mesh/pergola/proxy/h3/qpack"
)

// Sizes of buffers, in bytes.
const (
	headBuffer = 4 << 10  // a stream's, for the request and for the response's head
	bodyBuffer = 32 << 10 // for a body that is larger than that
	outBuffer  = 64 << 10 // the largest for the response that is kept
)

var bodyBuffers = sync.Pool{New: func() any { return new([bodyBuffer]byte) }}

// past is a deadline that has passed: what waits for the client fails.
var past = time.Unix(1, 0)

// reader reads frames from a stream. buf[r:w] is unread.
type reader struct {
	src     io.Reader // a *quic.Stream
	buf     []byte
	r, w    int
	eof     bool              // the stream has ended, and buf has the last of it
	small   []byte            // buf, while large is in its place
	large   *[bodyBuffer]byte // pooled
	decoder qpack.Decoder
}

func (d *reader) begin(src io.Reader) { d.src, d.r, d.w, d.eof = src, 0, 0, false }

// release gives the pooled buffer back.
func (d *reader) release() {
	d.shrink()
	d.src = nil
}

// shrink gives the pooled buffer back. What is in it is void.
func (d *reader) shrink() {
	if d.large != nil {
		bodyBuffers.Put(d.large)
		d.buf, d.small, d.large = d.small, nil, nil
		d.r, d.w = 0, 0
	}
}

// fill reads more into the buffer. io.EOF says that there is none.
func (d *reader) fill() error {
	if d.eof {
		return io.EOF
	}
	if d.r == d.w {
		d.r, d.w = 0, 0
	} else if d.w == len(d.buf) {
		d.w = copy(d.buf, d.buf[d.r:d.w])
		d.r = 0
	}
	n, err := d.src.Read(d.buf[d.w:])
	d.w += n
	if err == io.EOF {
		d.eof = true
		if n > 0 {
			err = nil
		}
	}
	return err
}

// enlarge takes a larger buffer for a body. What was read stays.
func (d *reader) enlarge() {
	if d.large != nil || len(d.buf) >= bodyBuffer {
		return
	}
	d.large = bodyBuffers.Get().(*[bodyBuffer]byte)
	d.w = copy(d.large[:], d.buf[d.r:d.w])
	d.r, d.small, d.buf = 0, d.buf, d.large[:]
}

// frame reads the beginning of the next frame with a meaning, and skips those without. io.EOF says that
// the stream has ended in the right place. RFC 9114 §7.1, §9.
func (d *reader) frame() (frame.Head, error) {
	for {
		h, n := frame.ParseHead(d.buf[d.r:d.w])
		if n == 0 {
			if err := d.fill(); err != nil {
				if err == io.EOF && d.r < d.w {
					err = faultFrame
				}
				return h, err
			}
			continue
		}
		d.r += n
		if h.Type.Known() {
			return h, nil
		}
		if err := d.skip(h.Length); err != nil {
			return h, err
		}
	}
}

func (d *reader) skip(n uint64) error {
	for {
		m := min(n, uint64(d.w-d.r))
		d.r += int(m)
		if n -= m; n == 0 {
			return nil
		}
		if err := d.fill(); err != nil {
			return cutOff(err)
		}
	}
}

// payload reads the next n bytes as one piece, which lives until the next read.
func (d *reader) payload(n int) ([]byte, error) {
	if n > len(d.buf) {
		buf := make([]byte, n)
		d.w = copy(buf, d.buf[d.r:d.w])
		d.r, d.buf = 0, buf
	}
	for d.w-d.r < n {
		if d.w == len(d.buf) || d.r+n > len(d.buf) {
			d.w = copy(d.buf, d.buf[d.r:d.w])
			d.r = 0
		}
		if err := d.fill(); err != nil {
			return nil, cutOff(err)
		}
	}
	p := d.buf[d.r : d.r+n]
	d.r += n
	return p, nil
}

// headSection reads the first frame, which is the request's fields in at most limit bytes.
func (s *stream) headSection(limit uint64) ([]byte, error) {
	h, err := s.frame()
	if err != nil {
		if err == io.EOF {
			return nil, errNothing
		}
		return nil, s.named(err)
	}
	if h.Type != frame.Headers {
		return nil, faultUnexpected
	}
	if h.Length > limit {
		return nil, fields.RuleHeaderSize
	}
	p, err := s.payload(int(h.Length))
	if err != nil {
		return nil, s.named(err)
	}
	return p, nil
}

// named says what an error of reading is: what the client did wrong, or that it has gone or is too slow.
func (s *stream) named(err error) error {
	switch err.(type) {
	case *fault, *fields.Rule:
		return err
	}
	return s.lost(err)
}
