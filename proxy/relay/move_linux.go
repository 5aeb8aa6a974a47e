package relay

import (
	"io"
	"net"
	"sync/atomic"
	"syscall"

	"github.com/pergola-mesh/pergola/proxy/listen"
)

// move passes bytes until from ends. The error is that of reading or of writing. Out of a plain socket it
// holds no memory while it waits.
func move(to, from *side, count *atomic.Int64) (reading bool, err error) {
	socket, plain := from.Conn.(*net.TCPConn)
	if !plain {
		return copyBuffered(to.Conn, from.Conn, count)
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return true, err
	}
	m := &mover{in: raw, to: to.Conn, count: count}
	return m.run()
}

// mover is one direction out of a plain socket.
type mover struct {
	in    syscall.RawConn
	to    net.Conn
	count *atomic.Int64

	buf *block // nil while it waits
	n   int
	err error
}

func (m *mover) run() (reading bool, err error) {
	fill := m.fill
	for {
		if err = m.in.Read(fill); err == nil {
			err = m.err
		}
		switch {
		case err == io.EOF:
			return true, nil
		case err != nil:
			return true, err
		}
		_, err = m.to.Write(m.buf[:m.n])
		blocks.Put(m.buf)
		m.buf = nil
		if err != nil {
			return false, err
		}
		m.count.Add(int64(m.n))
	}
}

// fill reads once. False: there is nothing yet.
func (m *mover) fill(fd uintptr) bool {
	m.buf = blocks.Get().(*block)
	m.n, m.err = listen.ReadNow(fd, m.buf[:])
	if m.err != nil {
		blocks.Put(m.buf)
		m.buf = nil
	}
	return m.err != listen.ErrWouldBlock
}
