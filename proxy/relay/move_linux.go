package relay

import (
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// bulk is how many bytes at a time make a direction busy: from there on bytes stay in the kernel.
const bulk = 8 << 10

// move passes bytes until from ends. The error is that of reading or of writing.
func move(to, from *side, count *atomic.Int64) (reading bool, err error) {
	source, plain := from.Conn.(*net.TCPConn)
	if !plain {
		return copyBuffered(to.Conn, from.Conn, count)
	}
	m := &mover{to: to.Conn, count: count}
	if m.in, err = source.SyscallConn(); err != nil {
		return true, err
	}
	if sink, plain := to.Conn.(*net.TCPConn); plain {
		if m.out, err = sink.SyscallConn(); err != nil {
			return false, err
		}
	}
	return m.run()
}

// mover is one direction out of a plain socket. While it waits it has neither buffer nor pipe.
type mover struct {
	to      net.Conn
	in, out syscall.RawConn // out is nil when to is no plain socket
	count   *atomic.Int64
	splice  bool

	buf  *block
	pipe *pipe
	n    int // bytes in buf or pipe
	err  error
}

func (m *mover) run() (reading bool, err error) {
	fill, drain := m.fill, m.drain
	for {
		if err := m.in.Read(fill); err != nil {
			return true, err
		}
		if m.err == io.EOF {
			return true, nil
		} else if m.err != nil {
			return true, m.err
		}
		n := m.n
		m.splice = m.out != nil && n >= bulk
		if m.buf != nil {
			_, err = m.to.Write(m.buf[:n])
			blocks.Put(m.buf)
			m.buf, m.n = nil, 0
		} else {
			if err = m.out.Write(drain); err == nil {
				err = m.err
			}
			m.pipe.release(m.n == 0)
			m.pipe = nil
		}
		m.count.Add(int64(n - m.n))
		if err != nil {
			return false, err
		}
		if m.splice { // the others' turn: meanwhile more comes together, which costs less
			runtime.Gosched()
		}
	}
}

// fill reads once.
func (m *mover) fill(fd uintptr) bool {
	if m.splice {
		if m.pipe = takePipe(); m.pipe != nil {
			m.n, m.err = m.pipe.fill(int(fd))
			if m.err != nil || m.n == 0 {
				m.pipe.release(true)
				m.pipe = nil
			}
			return m.settled()
		}
		m.splice = false // no descriptors are left: memory will do
	}
	m.buf = blocks.Get().(*block)
	for {
		m.n, m.err = syscall.Read(int(fd), m.buf[:])
		if m.err != syscall.EINTR {
			break
		}
	}
	if m.err != nil || m.n == 0 {
		blocks.Put(m.buf)
		m.buf = nil
	}
	return m.settled()
}

// settled reports whether fill need not wait, and turns an end into io.EOF.
func (m *mover) settled() bool {
	if m.err == nil && m.n == 0 {
		m.err = io.EOF
	}
	return m.err != syscall.EAGAIN
}

// drain writes what is in the pipe.
func (m *mover) drain(fd uintptr) bool {
	for m.n > 0 {
		n, err := m.pipe.drain(int(fd), m.n)
		switch {
		case err == unix.EAGAIN:
			return false
		case err == nil && n == 0:
			err = io.ErrShortWrite
			fallthrough
		case err != nil:
			m.err = err
			return true
		}
		m.n -= n
	}
	return true
}
