package listen

// writing is what is left to be written, and waits for the peer.
type writing struct {
	fn   func(uintptr) bool
	rest [2][]byte
	err  error
}

// Write writes all of p, and waits as long as the write deadline lets it. It is for the goroutine that
// runs Loop, if one does; others write to Net.
func (c *Conn) Write(p []byte) error { return c.Write2(p, nil) }

// Write2 writes all of a and then b, in one system call if the socket takes it. It may use a's spare
// capacity.
func (c *Conn) Write2(a, b []byte) error {
	if c.tls != nil {
		return c.writeTLS(a, b)
	}
	if len(b) > 0 && len(b) <= joined && cap(a)-len(a) >= len(b) {
		a, b = append(a, b...), nil
	}
	if c.raw == nil {
		return c.writePortable(a, b)
	}
	if c.in {
		n, err := rawWrite2(c.fd, a, b)
		if err != nil && err != ErrWouldBlock {
			return err
		}
		if n == len(a)+len(b) {
			return nil
		}
		a, b = cut(a, b, n)
	}
	return c.writeOn(a, b)
}

// Offer writes as much of p as the socket takes without waiting, which over TLS is nothing. Inside Loop
// only.
func (c *Conn) Offer(p []byte) (int, error) {
	if !c.in || c.tls != nil {
		return 0, nil
	}
	n, err := rawWrite2(c.fd, p, nil)
	if err == ErrWouldBlock {
		err = nil
	}
	return n, err
}

// Send is Write for a goroutine other than the one that runs Loop, one at a time. A connection that is
// sent on is not also written to, but for Offer while nobody sends.
func (c *Conn) Send(p []byte) error {
	switch {
	case c.tls != nil:
		return c.sendTLS(p)
	case c.raw == nil:
		_, err := c.net.Write(p)
		return err
	}
	return c.writeOn(p, nil)
}

// writeOn writes a and b, and waits where it must.
func (c *Conn) writeOn(a, b []byte) error {
	w := c.slow
	if w == nil {
		w = &writing{}
		w.fn = w.step
		c.slow = w
	}
	w.rest, w.err = [2][]byte{a, b}, nil
	err := c.raw.Write(w.fn)
	w.rest = [2][]byte{}
	if err == nil {
		err = w.err
	}
	return err
}

func (w *writing) step(fd uintptr) bool {
	for {
		n, err := rawWrite2(fd, w.rest[0], w.rest[1])
		w.rest[0], w.rest[1] = cut(w.rest[0], w.rest[1], n)
		if err == ErrWouldBlock {
			return false
		}
		if err != nil || len(w.rest[0])+len(w.rest[1]) == 0 {
			w.err = err
			return true
		}
	}
}

// joined is up to how many bytes copying is cheaper than a vectored write.
const joined = 4 << 10

// writePortable writes a and b in one call where a's spare capacity takes b.
func (c *Conn) writePortable(a, b []byte) error {
	if len(b) > 0 && len(a) > 0 && cap(a)-len(a) >= len(b) {
		a, b = append(a, b...), nil
	}
	if len(a) > 0 {
		if _, err := c.net.Write(a); err != nil || len(b) == 0 {
			return err
		}
	}
	_, err := c.net.Write(b)
	return err
}

// cut drops the first n bytes of a then b.
func cut(a, b []byte, n int) ([]byte, []byte) {
	if n <= 0 {
		return a, b
	}
	if n < len(a) {
		return a[n:], b
	}
	return nil, b[n-len(a):]
}
