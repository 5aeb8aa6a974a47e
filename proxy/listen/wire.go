package listen

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// readBuffer is what a connection of TLS, or one that is sniffed, reads into.
type readBuffer [16 << 10]byte

var readBuffers = sync.Pool{New: func() any { return new(readBuffer) }}

// wire is the net.Conn that crypto/tls runs over. It reads as much as there is at once, where stock code
// reads twice for every record, and writes the records of one write together.
//
// It hands out one record at a time. So what crypto/tls holds is at most the record that is being
// read, and what else has arrived is here, where it can be seen: Conn.Ahead.
type wire struct {
	conn *Conn

	buf    *readBuffer // nil while nothing is in it
	r, n   int         // buf[r:n] is unread
	full   bool        // the last read filled buf: there may be more
	ended  bool        // the socket has ended: without close_notify an end of the stream is not to be trusted
	header [5]byte     // of the record being handed out. RFC 8446 §5.1
	have   int         // how much of the header was handed out
	left   int         // how much of the payload was not
	fillFn func(uintptr) bool
	err    error // of fillFn

	direct bool // the write under way comes from inside Loop
	sent   int  // bytes of plaintext, up to where crypto/tls makes long records

	mu     sync.Mutex // guards what follows
	out    *[]byte    // records that are kept to be written together; nil when they are not
	inside bool       // they are written inside Loop

	leaving atomic.Bool // what is written now is a farewell
	cut     atomic.Bool // writes were interrupted
}

// Wire is what crypto/tls is to run over: tls.Server(c.Wire(), config). NewConn of that is c again, and
// c's methods then read and write plaintext. What c has Ahead is the beginning of the handshake.
func (c *Conn) Wire() net.Conn {
	w := &wire{conn: c}
	if c.lent != nil {
		w.buf, w.n = c.lent, copy(c.lent[:], c.ahead)
		c.ahead, c.lent = nil, nil
	}
	c.w = w
	return w
}

// ahead reports whether crypto/tls may have something to read before the socket becomes readable.
func (w *wire) ahead() bool { return w.r < w.n || w.full }

// midway reports whether the rest of a record is still to be handed out.
func (w *wire) midway() bool { return w.have > 0 }

// Read is net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	if w.r == w.n {
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
	return w.take(p), nil
}

// take hands out what there is, up to the end of a record.
func (w *wire) take(p []byte) int {
	have := w.buf[w.r:w.n]
	n := 0
	for n < len(p) && n < len(have) {
		if w.have < len(w.header) {
			w.header[w.have] = have[n]
			n++
			if w.have++; w.have < len(w.header) {
				continue
			}
			w.left = int(w.header[3])<<8 | int(w.header[4])
		} else {
			m := min(w.left, len(p)-n, len(have)-n)
			n += m
			w.left -= m
		}
		if w.left == 0 {
			w.have = 0
			break
		}
	}
	copy(p, have[:n])
	if w.r += n; w.r == w.n {
		w.release()
	}
	return n
}

// release gives the buffer back.
func (w *wire) release() {
	if w.buf != nil {
		readBuffers.Put(w.buf)
		w.buf, w.r, w.n = nil, 0, 0
	}
}

// fill reads into the empty buffer. Inside Loop it does not wait; outside it holds no buffer while it
// does, where the platform allows it.
func (w *wire) fill() error {
	c := w.conn
	switch {
	case len(c.ahead) > 0 && c.tls == nil: // of a Conn that was sniffed without a buffer of ours
		w.buf = readBuffers.Get().(*readBuffer)
		w.n = copy(w.buf[:], c.ahead)
		c.ahead = c.ahead[w.n:]
		return nil
	case c.raw == nil:
		buf := readBuffers.Get().(*readBuffer)
		n, err := c.net.Read(buf[:])
		return w.filled(buf, n, err)
	case c.in:
		buf := readBuffers.Get().(*readBuffer)
		n, err := ReadNow(c.fd, buf[:])
		return w.filled(buf, n, err)
	}
	if w.fillFn == nil {
		w.fillFn = func(fd uintptr) bool {
			buf := readBuffers.Get().(*readBuffer)
			n, err := ReadNow(fd, buf[:])
			w.err = w.filled(buf, n, err)
			return w.err != ErrWouldBlock
		}
	}
	if err := c.raw.Read(w.fillFn); err != nil {
		return err
	}
	return w.err
}

func (w *wire) filled(buf *readBuffer, n int, err error) error {
	if n <= 0 {
		readBuffers.Put(buf)
		w.full = false
		w.ended = err == io.EOF
		return err
	}
	w.buf, w.r, w.n, w.full = buf, 0, n, n == len(buf)
	return nil
}

// corkSize is how many bytes of records are written together.
const corkSize = 64 << 10

var corkBuffers = sync.Pool{New: func() any { return new([]byte) }}

// Write is net.Conn. crypto/tls lets one goroutine at a time in.
func (w *wire) Write(p []byte) (int, error) {
	if w.leaving.Load() {
		return w.farewell(p)
	}
	if w.direct {
		return w.conn.writeRecord(p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out == nil {
		return w.conn.net.Write(p)
	}
	*w.out = append(*w.out, p...)
	if len(*w.out) >= corkSize {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// farewell writes the last record if that needs no waiting for long, or says that it is gone: an
// interrupted connection takes none.
func (w *wire) farewell(p []byte) (int, error) {
	if w.cut.Load() {
		return 0, net.ErrClosed
	}
	return w.conn.net.Write(p)
}

// Close is net.Conn. A handshake that is given up is closed by another goroutine than the one in it.
func (w *wire) Close() error { return w.conn.net.Close() }

// LocalAddr is net.Conn.
func (w *wire) LocalAddr() net.Addr { return w.conn.net.LocalAddr() }

// RemoteAddr is net.Conn.
func (w *wire) RemoteAddr() net.Addr { return w.conn.net.RemoteAddr() }

// SetDeadline is net.Conn.
func (w *wire) SetDeadline(t time.Time) error { return w.conn.net.SetDeadline(t) }

// SetReadDeadline is net.Conn.
func (w *wire) SetReadDeadline(t time.Time) error { return w.conn.net.SetReadDeadline(t) }

// SetWriteDeadline is net.Conn. crypto/tls gives its farewell a time of its own, which must not let an
// interrupted connection wait.
func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.leaving.Load() && w.cut.Load() {
		return nil
	}
	return w.conn.net.SetWriteDeadline(t)
}

// NetConn is the socket.
func (w *wire) NetConn() net.Conn { return w.conn.net }
