package h1

import (
	"bytes"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// Limits of the chunked coding. An attacker pays with them for what we skip.
const (
	maxChunkLine      = 256      // one chunk size line with its extensions
	maxChunkExtension = 16 << 10 // all chunk extensions of a message
)

// chunks decodes the chunked coding from a buffer that fills step by step. RFC 9112 §7.1.
// Chunk extensions are checked and dropped.
type chunks struct {
	left  uint64 // data bytes left of the current chunk
	state chunkState
	ext   int // bytes of extensions so far
}

type chunkState uint8

const (
	atSize    chunkState = iota // before a chunk size line
	atData                      // inside chunk data
	atDataEnd                   // before the CRLF after chunk data
	atTrailer                   // after the last chunk's line
)

// next looks at buf and returns what can be told from it: data to pass on, how many bytes of buf are
// used up with it (data lies at the end of them), and whether the trailer section begins behind
// them. Nothing used up means that more bytes are needed.
func (c *chunks) next(buf []byte) (data []byte, used int, trailer bool, err error) {
	for {
		switch c.state {
		case atTrailer:
			return nil, used, true, nil
		case atSize:
			n, err := c.size(buf[used:])
			if err != nil || n == 0 {
				return nil, used, false, err
			}
			used += n
		case atData:
			p := buf[used:]
			if len(p) == 0 {
				return nil, used, false, nil
			}
			if uint64(len(p)) > c.left {
				p = p[:c.left]
			}
			if c.left -= uint64(len(p)); c.left == 0 {
				c.state = atDataEnd
			}
			return p, used + len(p), false, nil
		case atDataEnd:
			p := buf[used:]
			if len(p) > 0 && p[0] != '\r' || len(p) > 1 && p[1] != '\n' {
				return nil, used, false, ruleChunkEnd
			}
			if len(p) < 2 {
				return nil, used, false, nil
			}
			used += 2
			c.state = atSize
		}
	}
}

// size parses a chunk size line and returns its length, 0 when it is incomplete.
func (c *chunks) size(p []byte) (int, error) {
	nl := bytes.IndexByte(p, '\n')
	if nl < 0 {
		if len(p) > maxChunkLine {
			return 0, ruleChunkExt
		}
		// What has come must be able to begin a line: a parser that waits for more of nonsense
		// can be held for ever.
		if len(p) > 0 && unhex(p[0]) < 0 {
			return 0, ruleChunkSize
		}
		return 0, nil
	}
	if nl > maxChunkLine {
		return 0, ruleChunkExt
	}
	if nl < 1 || p[nl-1] != '\r' {
		return 0, ruleBareLF
	}
	line, n, i := p[:nl-1], uint64(0), 0
	for ; i < len(line); i++ {
		d := unhex(line[i])
		if d < 0 {
			break
		}
		if i == 16 {
			return 0, ruleChunkSize
		}
		n = n<<4 | uint64(d)
	}
	if i == 0 || n > 1<<62 {
		return 0, ruleChunkSize
	}
	if i < len(line) {
		if err := c.extension(line[i:]); err != nil {
			return 0, err
		}
	}
	if c.left = n; n > 0 {
		c.state = atData
	} else {
		c.state = atTrailer
	}
	return nl + 1, nil
}

// extension checks what follows a chunk size: it must begin with ";", after optional white space.
func (c *chunks) extension(ext []byte) error {
	if c.ext += len(ext); c.ext > maxChunkExtension {
		return ruleChunkExt
	}
	trimmed := bytes.TrimLeft(ext, " \t")
	if len(trimmed) == 0 || trimmed[0] != ';' {
		return ruleChunkSize
	}
	if !fields.Plain(trimmed) {
		return ruleChunkExt
	}
	return nil
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// sender writes two pieces one after the other.
type sender interface{ send(a, b []byte) error }

// sendChunk sends what is pending and p, which must not be empty, as a chunk behind it. A short one goes in one
// piece; the line end of a long one may stay pending, in what is returned, until there is more to send: whoever
// reads it has all of p by then.
func sendChunk(to sender, pending, p []byte) ([]byte, error) {
	out := appendChunkHead(pending, len(p))
	if len(out)+len(p)+2 <= headBuffer {
		out = append(append(out, p...), crlf...)
		return out[:0], to.send(out, nil)
	}
	if err := to.send(out, p); err != nil {
		return nil, err
	}
	out = append(out[:0], crlf...)
	if len(p) >= headBuffer {
		return out, nil
	}
	return out[:0], to.send(out, nil)
}

// appendLastChunk appends the end of a chunked body, with its trailers.
func appendLastChunk(dst []byte, trailer *exchange.Header) []byte {
	dst = trailer.AppendTo(append(dst, "0\r\n"...))
	return append(dst, crlf...)
}

// appendChunkHead appends the size line of a chunk of n bytes.
func appendChunkHead(dst []byte, n int) []byte {
	const hex = "0123456789abcdef"
	var b [16]byte
	i := len(b)
	for {
		i--
		b[i] = hex[n&15]
		if n >>= 4; n == 0 {
			break
		}
	}
	return append(append(dst, b[i:]...), '\r', '\n')
}
