//go:build !linux

package relay

import "net"

// datagramReader returns what reads a datagram. The caller gives the buffer back.
func datagramReader(c net.Conn) func() (*datagram, int, error) { return readDatagram(c) }
