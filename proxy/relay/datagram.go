package relay

import "net"

// readDatagram reads in the ordinary way, with a buffer while it waits.
func readDatagram(c net.Conn) func() (*datagram, int, error) {
	return func() (*datagram, int, error) {
		buf := datagrams.Get().(*datagram)
		n, err := c.Read(buf[:])
		if err != nil {
			datagrams.Put(buf)
			return nil, 0, err
		}
		return buf, n, nil
	}
}
