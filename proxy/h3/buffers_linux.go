package h3

import (
	"net"

	"golang.org/x/sys/unix"
)

// raise sets both buffers to size, past the system's limits where the process may do that, and returns
// what they have become.
func raise(c *net.UDPConn, size int) (in, out int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	cerr := raw.Control(func(fd uintptr) {
		in, err = grow(int(fd), unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, size)
		if err == nil {
			out, err = grow(int(fd), unix.SO_SNDBUF, unix.SO_SNDBUFFORCE, size)
		}
	})
	if cerr != nil {
		err = cerr
	}
	return in, out, err
}

func grow(fd, option, force, size int) (int, error) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, size) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, size); err != nil {
			return 0, err
		}
	}
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
	return n / 2, err // the kernel doubles what it is told, for its own use
}
