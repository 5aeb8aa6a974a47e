//go:build !linux

package h3

import "net"

// raise sets both buffers to size. What they have become is not known: -1.
func raise(c *net.UDPConn, size int) (in, out int, err error) {
	if err = c.SetReadBuffer(size); err == nil {
		err = c.SetWriteBuffer(size)
	}
	return -1, -1, err
}
