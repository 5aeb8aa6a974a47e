package listen

import "io"

// Sniff reads until decided, which is given all that has been read so far, says so, or until size bytes
// have been read, at most 16 KiB. What was read is Ahead, and given to decided as long as it returns
// false. A peer that ends first is an error, io.EOF if it said nothing at all.
//
// While the peer says nothing the connection has no buffer, where the platform allows it.
func (c *Conn) Sniff(decided func(first []byte) bool) error {
	var err error
	if len(c.ahead) > 0 && decided(c.ahead) {
		return nil
	}
	step := func() bool {
		for {
			if c.lent == nil {
				c.lent = readBuffers.Get().(*readBuffer)
				c.ahead = c.lent[:copy(c.lent[:], c.ahead)]
			}
			n := len(c.ahead)
			var m int
			if m, err = c.sniffed(c.lent[n:]); m > 0 {
				c.ahead = c.lent[:n+m]
				if decided(c.ahead) || len(c.ahead) == len(c.lent) {
					return true
				}
				continue
			}
			if n == 0 {
				c.releaseAhead()
			} else if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err != ErrWouldBlock
		}
	}
	if lost := c.Loop(step); lost != nil {
		return lost
	}
	return err
}

// sniffed reads behind what is ahead.
func (c *Conn) sniffed(p []byte) (int, error) {
	if !c.in {
		return c.net.Read(p)
	}
	return ReadNow(c.fd, p)
}
