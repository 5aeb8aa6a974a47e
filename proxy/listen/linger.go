package listen

import "time"

const (
	// LingerTime is how long a connection that is about to be closed goes on reading.
	LingerTime = 500 * time.Millisecond
	// maxLinger is how much of what comes then is read, in bytes.
	maxLinger = 256 << 10
)

// Linger ends the sending direction, and reads what still comes until the peer has ended too, for
// LingerTime at most: what nobody reads makes the kernel reset the connection, and what was sent last would
// be lost. It is called before Close, and not inside Loop.
func (c *Conn) Linger() {
	if c.CloseWrite() != nil {
		return
	}
	c.Net().SetReadDeadline(time.Now().Add(LingerTime))
	buf := readBuffers.Get().(*readBuffer)
	defer readBuffers.Put(buf)
	for n := 0; n < maxLinger; {
		m, err := c.Read(buf[:])
		if n += m; err != nil {
			return
		}
	}
}
