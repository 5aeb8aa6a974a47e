package httpadapter

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

var errGone = errors.New("httpadapter: the response is not wanted any more")

// bufferSize is how much small writes are gathered to, in bytes. A response that stays below it is
// sent with its length.
const bufferSize = 4096

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// writer is the handler's http.ResponseWriter. Like net/http's it may be used from any goroutine, by
// one at a time; the lock makes a second one harmless.
type writer struct {
	mu     sync.Mutex
	call   *call
	header http.Header
	head   bool // the client asked for the head only: the body is only counted

	status    int         // 0 until WriteHeader
	sent      http.Header // as it was at WriteHeader
	declared  int64       // Content-Length, -1 for none
	written   int64
	memory    *[bufferSize]byte // what buffer lives in; nil once given back
	buffer    []byte
	committed bool // the response has its head
	left      bool // the handler returned: nobody may begin anything
	over      bool // the response is concluded, or another's
}

func newWriter(c *call) *writer {
	w := &writer{call: c, header: http.Header{}, head: c.x.Request.Method == http.MethodHead, memory: buffers.Get().(*[bufferSize]byte), declared: -1}
	w.buffer = w.memory[:0]
	return w
}

// Header is the header that WriteHeader will send.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader fixes status and header; a 1xx status but 101 is sent at once.
func (w *writer) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *writer) writeHeader(status int) {
	if w.over || w.status != 0 {
		return
	}
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.inform(status)
		return
	}
	w.fix(status)
}

// fix takes status and header as they are now for the response's.
func (w *writer) fix(status int) {
	w.status, w.sent = status, w.header.Clone()
	w.declared = contentLength(w.sent)
}

func (w *writer) inform(status int) {
	x := w.call.x
	if x.Informer == nil || w.call.closed {
		return
	}
	if status == http.StatusContinue {
		x.Request.Continue = false
	}
	var h exchange.Header
	setHeader(&h, w.header)
	x.Informer.Inform(status, &h) // the client may be gone, as the next write will tell
}

// Write adds to the body.
func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.call.hijacked != nil:
		return 0, http.ErrHijacked
	case w.over || w.call.closed:
		return 0, errGone
	case w.status == 0:
		w.writeHeader(http.StatusOK)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if w.written += int64(len(p)); w.declared >= 0 && w.written > w.declared {
		return 0, http.ErrContentLength
	}
	if w.head {
		w.buffer = append(w.buffer, p[:min(len(p), sniffLen-min(len(w.buffer), sniffLen))]...)
		return len(p), nil
	}
	if len(w.buffer)+len(p) <= bufferSize {
		w.buffer = append(w.buffer, p...)
		return len(p), nil
	}
	w.commit(p)
	if err := w.flush(); err != nil {
		return 0, err
	}
	if len(p) < bufferSize {
		w.buffer = append(w.buffer, p...)
		return len(p), nil
	}
	if err := w.call.hand(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteString is Write of a string.
func (w *writer) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// flush hands over what was gathered.
func (w *writer) flush() error {
	if len(w.buffer) == 0 {
		return nil
	}
	err := w.call.hand(w.buffer)
	w.buffer = w.buffer[:0]
	return err
}

// Flush is FlushError for those who do not look.
func (w *writer) Flush() { w.FlushError() }

// FlushError sends what there is, be it only the head.
func (w *writer) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.call.closed {
		return errGone
	}
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	if !w.committed {
		w.commit(nil)
		if w.head || len(w.buffer) == 0 {
			return w.call.hand(nil)
		}
	}
	if w.head {
		return nil
	}
	return w.flush()
}

// EnableFullDuplex is for http.ResponseController; there is nothing to enable.
func (w *writer) EnableFullDuplex() error { return nil }

// SetReadDeadline is for http.ResponseController, which may only clear the deadline.
func (w *writer) SetReadDeadline(t time.Time) error { return clearOnly(t) }

// SetWriteDeadline is for http.ResponseController, which may only clear the deadline.
func (w *writer) SetWriteDeadline(t time.Time) error { return clearOnly(t) }

func clearOnly(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	return fmt.Errorf("httpadapter: the entry point watches over progress: %w", http.ErrNotSupported)
}

// Hijack gives the handler the connection; see hijacked.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch x := w.call.x; {
	case w.call.hijacked != nil:
		return nil, nil, http.ErrHijacked
	case w.over || w.call.closed:
		return nil, nil, errGone
	case w.status != 0:
		return nil, nil, errors.New("httpadapter: Hijack after WriteHeader")
	case x.Request.Proto > exchange.HTTP11:
		return nil, nil, fmt.Errorf("httpadapter: Hijack on %s: %w", x.Request.Proto, http.ErrNotSupported)
	}
	conn, h := hijack(w.call)
	w.call.hijacked = h
	w.call.ready <- struct{}{}
	return conn, bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)), nil
}

// enter reports whether the next handler may be run, and counts it among those waited for.
func (w *writer) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left || w.committed {
		return false
	}
	w.call.following.Add(1)
	return true
}

// leave is told that the handler returned.
func (w *writer) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = true
}

// finish is told that nothing of the handler goes on; err is why it should not have.
func (w *writer) finish(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	c := w.call
	c.cancel()
	if c.hijacked != nil {
		if err != nil {
			c.hijacked.err = err
			c.hijacked.shut()
		}
		return
	}
	c.finished, c.err = true, err
	if !c.closed && !c.passed && (err == nil || w.committed) {
		w.conclude()
	}
	c.ready <- struct{}{}
}

// conclude completes a response that was not given up.
func (w *writer) conclude() {
	if w.status == 0 {
		w.fix(http.StatusOK)
	}
	if !w.committed {
		if _, set := w.sent["Content-Length"]; !set && bodyAllowed(w.status) && !w.hasTrailers() && (!w.head || w.written > 0) {
			w.declared = w.written
		}
		w.commit(nil)
	}
	if w.head || !bodyAllowed(w.status) {
		return
	}
	w.call.chunk = w.buffer
	if w.declared >= 0 && w.declared != w.written && w.call.err == nil {
		w.call.err = exchange.Internal.Withf("http handler wrote %d bytes but declared %d", w.written, w.declared)
	}
	w.setTrailers()
}

// release gives the buffer back; only the consumer may, who knows that nobody reads it.
func (w *writer) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.memory != nil {
		buffers.Put(w.memory)
		w.memory, w.buffer = nil, nil
	}
}
