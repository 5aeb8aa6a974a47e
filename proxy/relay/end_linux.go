package relay

import (
	"io"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// bulk is how many bytes at a time make a direction busy: from there on bytes stay in the kernel.
const bulk = 8 << 10

// end is one socket of a pair, with what it has sent and the other one has not taken yet. While nothing is
// on its way it has neither buffer nor pipe. It is the loop's.
type end struct {
	pair  *pair
	other *end
	fd    int
	fault exchange.Kind // of the socket
	count *atomic.Int64 // of what it has sent and the other one has taken
	asked uint32        // the events that the loop's epoll watches for

	splice bool // what comes next stays in the kernel
	ended  bool // it has sent its last, and the other one knows
	busy   bool // among loop.busy

	// What is on its way: n bytes in the pipe, or the rest, in the loop's memory or in buf.
	n    int
	pipe *pipe
	rest []byte
	buf  *block
}

// wake goes on where events say that something can be done.
func (e *end) wake(events uint32) {
	if events&^unix.EPOLLOUT != 0 && e.n == 0 && !e.ended && !e.busy {
		e.move()
	}
	if events&^unix.EPOLLIN != 0 && e.other.n > 0 && !e.other.busy && !e.pair.over {
		e.other.move()
	}
}

// A busy direction moves so many bytes, in so many steps, before it is the others' turn.
const (
	turn  = 2 << 20
	steps = 16
)

// move passes on what e has sent, as much as is fair, and sees to it that it is called again.
func (e *end) move() {
	begun := e.count.Load()
	more, err := e.step()
	for again := 1; more && err == nil && again < steps && e.count.Load()-begun < turn; again++ {
		more, err = e.step()
	}
	if err != nil || e.ended && e.other.ended {
		e.pair.finish(err)
		return
	}
	if more {
		e.busy = true
		l := e.pair.loop
		l.busy = append(l.busy, e)
		return
	}
	if err := e.ask(); err != nil {
		e.pair.finish(e.fault.With(err))
	} else if err := e.other.ask(); err != nil {
		e.pair.finish(e.other.fault.With(err))
	}
}

// ask has the loop watch for what is waited for. A direction that is busy waits for nothing, and what was
// watched for its sake may go on being so.
func (e *end) ask() error {
	var want uint32 = unix.EPOLLET // nothing, and that only once
	if e.busy && e.asked&unix.EPOLLIN != 0 || !e.busy && e.n == 0 && !e.ended {
		want = unix.EPOLLIN
	}
	if o := e.other; o.busy && e.asked&unix.EPOLLOUT != 0 || !o.busy && o.n > 0 {
		want = want&^unix.EPOLLET | unix.EPOLLOUT
	}
	if want == e.asked {
		return nil
	}
	e.asked = want
	return e.pair.loop.watch(unix.EPOLL_CTL_MOD, e.fd, want)
}

// step fills, unless something is left from before, and drains. It does not wait. More says that it is
// worth another: of a flow there mostly is more, and if not, then it is known, and the epoll need not be asked.
func (e *end) step() (more bool, err error) {
	if e.n == 0 {
		switch err = e.fill(); {
		case err == io.EOF:
			return false, e.end()
		case err == listen.ErrWouldBlock:
			return false, nil
		case err != nil:
			return false, e.fault.With(err)
		}
	}
	before := e.n
	err = e.drain()
	e.count.Add(int64(before - e.n))
	switch {
	case err == listen.ErrWouldBlock:
		e.keep()
		return false, nil
	case err != nil:
		return false, e.other.fault.With(err)
	}
	e.drop()
	if !e.splice {
		e.pair.loop.unsure = true
	}
	return e.splice, nil
}

// end passes the end on.
func (e *end) end() error {
	e.ended = true
	switch err := unix.Shutdown(e.other.fd, unix.SHUT_WR); err {
	case nil:
		e.pair.ended()
	case unix.ENOTCONN: // it ended meanwhile: the other direction tells how
	default:
		return e.other.fault.With(err)
	}
	return nil
}

// fill takes what there is, once.
func (e *end) fill() (err error) {
	if e.splice {
		if e.pipe = takePipe(); e.pipe != nil {
			if e.n, err = e.pipe.fill(e.fd); err != nil {
				e.drop()
				return err
			}
			e.splice = e.n >= bulk
			return nil
		}
		// no descriptors are left: memory will do
	}
	scratch := &e.pair.loop.scratch
	if e.n, err = listen.ReadNow(uintptr(e.fd), scratch[:]); err != nil {
		e.n = 0
		return err
	}
	e.rest = scratch[:e.n]
	e.splice = e.n >= bulk
	return nil
}

// drain gives the other end what is on its way.
func (e *end) drain() error {
	for e.n > 0 {
		var n int
		var err error
		if e.pipe != nil {
			n, err = e.pipe.drain(e.other.fd, e.n)
		} else {
			n, err = listen.WriteNow(uintptr(e.other.fd), e.rest)
			e.rest = e.rest[n:]
		}
		if err != nil {
			return err
		}
		e.n -= n
	}
	return nil
}

// keep moves what is on its way out of the loop's memory.
func (e *end) keep() {
	if e.pipe == nil && e.buf == nil {
		e.buf = blocks.Get().(*block)
		e.rest = e.buf[:copy(e.buf[:], e.rest)]
	}
}

// drop gives back what bytes were kept in.
func (e *end) drop() {
	if e.pipe != nil {
		e.pipe.release(e.n == 0)
		e.pipe = nil
	}
	if e.buf != nil {
		blocks.Put(e.buf)
		e.buf = nil
	}
	e.rest = nil
}
