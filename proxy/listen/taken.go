package listen

import "syscall"

// takenAtLeast is what a peer must have taken, in bytes, to have taken something: less than a segment has, and more
// than who takes a byte now and then, to keep a connection for ever, will want to take.
const takenAtLeast = 512

// Taken reports whether the peer has taken some of what was written since Taken last said so. A write that waits
// does so until a third of the socket's memory is free, which for a slow peer may be minutes: this tells it from one
// that takes nothing. For a sweeper alone. It is false where the platform cannot tell.
func (c *Conn) Taken() bool {
	n := c.unsent()
	if n < 0 {
		return false
	}
	was := int(c.queued)
	if n <= was && was-n < takenAtLeast { // more than there was has been written since: there was room for it
		return false
	}
	c.queued = int32(n)
	return true
}

func (c *Conn) unsent() int {
	raw := c.raw
	if raw == nil {
		socket, ok := bottom(c.net).(syscall.Conn)
		if !ok {
			return -1
		}
		var err error
		if raw, err = socket.SyscallConn(); err != nil {
			return -1
		}
	}
	n := -1
	if err := raw.Control(func(fd uintptr) { n = unsent(fd) }); err != nil {
		return -1
	}
	return n
}
