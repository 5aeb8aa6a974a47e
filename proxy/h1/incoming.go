package h1

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// Sizes of buffers, in bytes.
const (
	headBuffer = 16 << 10 // a connection's read buffer while a message is under way
	bodyBuffer = 64 << 10 // for a body that is larger than that
)

var bodyBuffers = sync.Pool{New: func() any { return new([bodyBuffer]byte) }}

// errShort is a body cut off before its end.
var errShort = errors.New("the connection ended before the message did")

type bodyMode uint8

const (
	byNothing bodyMode = iota // no body
	byLength                  // Content-Length
	byChunks                  // chunked
	byClose                   // until the connection ends: responses only
)

// incoming reads the body of a message from a connection and a buffer that may hold the beginning of
// it. It never reads past the end of the message on its own account, but what came with it stays
// in buf[r:w].
type incoming struct {
	conn    *listen.Conn
	buf     []byte
	base    int // buf[:base] is the head, which header fields point to
	r, w    int
	mode    bodyMode
	left    int64 // of byLength
	chunks  chunks
	trailer *exchange.Header
	over    bool              // the end of the message has been seen
	err     error             // what ended it before that
	filled  bool              // the last read left no room: there is more than the buffer holds
	large   *[bodyBuffer]byte // buf, when it is pooled
}

// begin takes over a message whose head is buf[:base] and whose body so far is buf[base:w].
func (in *incoming) begin(conn *listen.Conn, buf []byte, base, w int, mode bodyMode, length int64, trailer *exchange.Header) {
	in.conn, in.buf, in.base, in.r, in.w = conn, buf, base, base, w
	in.mode, in.left, in.trailer = mode, length, trailer
	in.err, in.filled, in.large = nil, false, nil
	if mode == byChunks {
		in.chunks = chunks{}
	}
	in.over = mode == byNothing || mode == byLength && length == 0
}

// whole returns the body when it is all there and has no trailers to come.
func (in *incoming) whole() ([]byte, bool) {
	if in.over {
		return nil, true
	}
	if in.mode != byLength || in.err != nil || int64(in.w-in.r) < in.left {
		return nil, false
	}
	end := in.r + int(in.left)
	return in.buf[in.r:end:end], true
}

// skip consumes what whole returned.
func (in *incoming) skip() {
	if !in.over {
		in.r += int(in.left)
		in.left, in.over = 0, true
	}
}

// next is Body.Next.
func (in *incoming) next() ([]byte, error) {
	for {
		if in.err != nil {
			return nil, in.err
		}
		if in.over {
			return nil, io.EOF
		}
		p, err := in.decode()
		if err != nil {
			in.err = err
			return nil, err
		}
		if len(p) > 0 {
			return p, nil
		}
		if in.over {
			return nil, io.EOF
		}
		if err := in.fill(); err != nil {
			if err == io.EOF && in.mode == byClose {
				in.over = true
				return nil, io.EOF
			}
			if err == io.EOF {
				err = errShort
			}
			in.err = err
			return nil, err
		}
	}
}

// decode returns the content that is in the buffer, and sees the end of the message.
func (in *incoming) decode() ([]byte, error) {
	p := in.buf[in.r:in.w]
	switch in.mode {
	case byLength:
		if int64(len(p)) > in.left {
			p = p[:in.left]
		}
		in.left -= int64(len(p))
		in.over = in.left == 0
	case byChunks:
		data, used, trailer, err := in.chunks.next(p)
		in.r += used
		if err != nil {
			return nil, err
		}
		if trailer {
			return nil, in.trailers()
		}
		return data, nil
	}
	in.r += len(p)
	return p, nil
}

// trailers reads the trailer section, if it is all there.
func (in *incoming) trailers() error {
	p := in.buf[in.r:in.w]
	if len(p) >= 2 && p[0] == '\r' && p[1] == '\n' {
		in.r += 2
		in.over = true
		return nil
	}
	i := bytes.Index(p, crlfcrlf)
	if i < 0 {
		if _, err := headEnd(p, 0); err != nil {
			return err
		}
		if len(p) > maxTrailer {
			return fields.RuleTrailerSize
		}
		return nil
	}
	if i > maxTrailer {
		return fields.RuleTrailerSize
	}
	in.r += i + 4
	in.over = true
	return parseTrailer(in.trailer, bytes.Clone(p[:i+4]))
}

var maxTrailer = fields.TrailerLimits.HeaderBytes

// parseTrailer parses a trailer section. Fields that frame, route or authorise a message are not
// taken from a trailer. RFC 9110 §6.5.1.
func parseTrailer(h *exchange.Header, block []byte) error {
	h.Reset(block)
	f := framing{length: -1}
	if _, err := parseFields(h, &f, block, 0, &fields.TrailerLimits); err != nil {
		return err
	}
	fields.CleanTrailer(h)
	return nil
}

// fill reads more into the buffer, which it enlarges for a long body.
func (in *incoming) fill() error {
	if in.r == in.w {
		in.r, in.w = in.base, in.base
		if in.large == nil && in.long() && len(in.buf) < bodyBuffer {
			in.large = bodyBuffers.Get().(*[bodyBuffer]byte)
			in.buf, in.base, in.r, in.w = in.large[:], 0, 0, 0
		}
	}
	if in.w == len(in.buf) && in.r > in.base {
		in.w = in.base + copy(in.buf[in.base:], in.buf[in.r:in.w])
		in.r = in.base
	}
	if in.w == len(in.buf) {
		if len(in.buf)-in.base >= headBuffer || in.large != nil {
			return fields.RuleTrailerSize // only a trailer section or a chunk line can fill it without progress
		}
		in.large = bodyBuffers.Get().(*[bodyBuffer]byte)
		in.w = copy(in.large[:], in.buf[in.r:in.w])
		in.buf, in.base, in.r = in.large[:], 0, 0
	}
	n, err := in.conn.Read(in.buf[in.w:])
	in.w += n
	in.filled = in.w == len(in.buf)
	if n > 0 {
		return nil
	}
	return err
}

// long reports whether a larger buffer would save system calls.
func (in *incoming) long() bool {
	return in.filled || in.mode == byLength && in.left > int64(len(in.buf)-in.base)
}

// release gives the pooled buffer back. What Next returned is void after it.
func (in *incoming) release() {
	if in.large != nil {
		bodyBuffers.Put(in.large)
		in.large, in.buf = nil, nil
	}
}
