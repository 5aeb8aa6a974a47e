package relay

import (
	"net"
	"syscall"
)

// datagramReader returns what reads a datagram. There is no buffer while there is none to read. The
// caller gives the buffer back.
func datagramReader(c net.Conn) func() (*datagram, int, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return readDatagram(c)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return readDatagram(c)
	}
	var buf *datagram
	var n int
	var failed error
	step := func(fd uintptr) bool {
		buf = datagrams.Get().(*datagram)
		for {
			n, failed = syscall.Read(int(fd), buf[:])
			if failed != syscall.EINTR {
				break
			}
		}
		if failed != nil {
			datagrams.Put(buf)
		}
		return failed != syscall.EAGAIN
	}
	return func() (*datagram, int, error) {
		if err := raw.Read(step); err != nil {
			return nil, 0, err
		}
		return buf, n, failed
	}
}
