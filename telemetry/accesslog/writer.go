package accesslog

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// gather is how long the writer lets lines come together before it writes them.
	gather = 10 * time.Millisecond
	// chunk is how many bytes are written at a time; as soon as there are as many, they are.
	chunk = 64 << 10
	// defaultLines and maxPending bound what waits for a slow disk, in lines and bytes.
	defaultLines = 8192
	maxPending   = 16 << 20
	// spares is how many chunks are held on to.
	spares = 16
)

// output is where lines go.
type output interface {
	io.WriteCloser
	Reopen() error
}

// writer passes lines on to an output from one goroutine, in the order they came. Whoever brings a
// line never waits for the output: when too much is waiting, lines are lost and counted.
type writer struct {
	out    output
	logger *slog.Logger
	lines  int // that may wait

	dropped atomic.Uint64
	wake    chan struct{} // something is pending
	full    chan struct{} // much is
	stop    chan struct{}
	done    chan struct{}

	mu     sync.Mutex
	chunks [][]byte // full ones, in order
	last   []byte   // the one that is being filled
	free   [][]byte
	size   int // bytes in chunks
	count  int // lines in chunks and last
	closed bool

	// writing is held while what is pending is taken and written: what is taken first is written
	// first. Lock order: writing before mu.
	writing   sync.Mutex
	spareList [][]byte
	failing   bool // the last write failed
}

func newWriter(out output, lines int, logger *slog.Logger) *writer {
	w := &writer{out: out, logger: logger, lines: max(lines, defaultLines),
		wake: make(chan struct{}, 1), full: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// add takes a copy of a line, unless too much is waiting.
func (w *writer) add(line []byte) {
	w.mu.Lock()
	if w.closed || w.count >= w.lines || w.size+len(w.last)+len(line) > maxPending {
		w.mu.Unlock()
		w.dropped.Add(1)
		return
	}
	first, much := w.count == 0, false
	if len(w.last)+len(line) > cap(w.last) {
		much = len(w.last) > 0
		w.nextChunk(len(line))
	}
	w.last = append(w.last, line...)
	w.count++
	w.mu.Unlock()
	if first {
		signal(w.wake)
	}
	if much {
		signal(w.full)
	}
}

// nextChunk begins a chunk that has room for size bytes. w.mu is held.
func (w *writer) nextChunk(size int) {
	if len(w.last) > 0 {
		w.chunks = append(w.chunks, w.last)
		w.size += len(w.last)
	}
	if n := len(w.free); n > 0 && size <= chunk {
		w.last, w.free = w.free[n-1], w.free[:n-1]
		return
	}
	w.last = make([]byte, 0, max(size, chunk))
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (w *writer) run() {
	defer close(w.done)
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for {
		select {
		case <-w.wake:
		case <-w.stop:
			w.flush()
			return
		}
		timer.Reset(gather)
		select {
		case <-timer.C:
		case <-w.full:
		case <-w.stop:
		}
		w.flush()
	}
}

// flush writes what is pending.
func (w *writer) flush() {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.flushLocked()
}

func (w *writer) flushLocked() {
	w.mu.Lock()
	if w.count > 0 {
		w.nextChunk(0)
	}
	taken := w.chunks
	w.chunks, w.size, w.count = w.spareList[:0], 0, 0
	w.mu.Unlock()
	var err error
	lost := 0
	for _, c := range taken {
		if n, e := w.out.Write(c); e != nil {
			err = e
			lost += bytes.Count(c[n:], newline)
		}
	}
	w.report(err, lost)
	w.mu.Lock()
	for _, c := range taken {
		if len(w.free) < spares && cap(c) == chunk {
			w.free = append(w.free, c[:0])
		}
	}
	w.mu.Unlock()
	clear(taken)
	w.spareList = taken
}

var newline = []byte{'\n'}

// report says once that lines are being lost, and once that they no longer are.
func (w *writer) report(err error, lost int) {
	switch {
	case err != nil:
		w.dropped.Add(uint64(lost))
		if !w.failing {
			w.logger.Error("access log lines are lost: make the file writable again", "error", err)
		}
	case w.failing:
		w.logger.Info("the access log is written again", "lost", w.dropped.Load())
	}
	w.failing = err != nil
}

// reopen writes what is pending, then goes on in a fresh file.
func (w *writer) reopen() error {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.flushLocked()
	return w.out.Reopen()
}

// close writes what is pending and closes the output. Later lines are lost.
func (w *writer) close() error {
	w.mu.Lock()
	again := w.closed
	w.closed = true
	w.mu.Unlock()
	if again {
		return nil
	}
	close(w.stop)
	<-w.done
	return w.out.Close()
}
