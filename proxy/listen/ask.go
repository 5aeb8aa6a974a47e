package listen

import (
	"net"
	"syscall"
)

// asking is what Call and Dirty need.
type asking struct {
	callFn  func(uintptr) bool
	dirtyFn func(uintptr)
	dirty   bool // what dirtyFn found
	call    call
	probe   [1]byte // of unasked
}

// call is the state of one Call.
type call struct {
	out    []byte
	caller Caller
	sent   bool
	n      int
	err    error
}

// Caller lends Call memory for the answer, when that may be there.
type Caller interface {
	// Wait says that out is not needed any more, nor, until it is asked for again, Room.
	Wait()
	// Room is where the beginning of the answer goes.
	Room() []byte
}

// Call writes out and reads the beginning of the answer into by's memory, with one wait. What has arrived unread
// before is taken for the answer: ask Dirty where that may be. The count of a failed call is 0; sent says
// whether any byte of out may have left.
func (c *Conn) Call(out []byte, by Caller) (n int, sent bool, err error) {
	if c.raw == nil {
		if err = c.Write(out); err != nil {
			return 0, true, err
		}
		by.Wait()
		n, err = c.Read(by.Room())
		return n, true, err
	}
	k := c.ask()
	k.call = call{out: out, caller: by}
	err = c.raw.Read(k.callFn)
	n, sent = k.call.n, k.call.sent
	if err == nil {
		err = k.call.err
	}
	k.call = call{}
	return n, sent, err
}

func (c *Conn) ask() *asking {
	if c.asks == nil {
		c.asks = &asking{callFn: c.callStep, dirtyFn: c.look}
		if c.tls != nil {
			c.asks.callFn, c.asks.dirtyFn = c.callStepTLS, c.lookTLS
		}
	}
	return c.asks
}

func (c *Conn) callStep(fd uintptr) bool {
	k := &c.asks.call
	if !k.sent {
		k.sent = true
		n, err := rawWrite2(fd, k.out, nil)
		switch {
		case err == nil && n == len(k.out):
			k.caller.Wait()
			return false
		case err != nil && err != ErrWouldBlock:
			k.err, k.sent = err, false // the connection was dead already: nothing left
			return true
		}
		// The socket is full: go on in the ordinary way, and wait for the answer as usual.
		if k.err = c.Write2(k.out[n:], nil); k.err != nil {
			return true
		}
	}
	k.n, k.err = ReadNow(fd, k.caller.Room())
	if k.err == ErrWouldBlock {
		k.err = nil
		k.caller.Wait()
		return false
	}
	return true
}

// PeerGone reports whether the peer has closed or reset the connection, as far as can be seen
// without reading. From any goroutine. Where the platform cannot tell it is false.
func (c *Conn) PeerGone() bool {
	if c.raw == nil {
		return peerGonePortable(c.net)
	}
	gone := false
	if err := c.raw.Control(func(fd uintptr) { gone = peerGone(fd) }); err != nil {
		return true
	}
	return gone
}

// WakeEnded makes a Call return that waits for a peer which had ended the stream before: Call begins to wait
// after it has written, without a read, and hears of an end only once. From any goroutine; a peer that has not
// ended, or whose last bytes are unread, is let be.
func (c *Conn) WakeEnded() {
	if c.raw != nil {
		c.raw.Control(wakeEnded)
	}
}

// Dirty reports whether an idle connection is unfit for use: closed by the peer, or with bytes
// waiting that nobody asked for. It costs a system call. For one goroutine at a time.
func (c *Conn) Dirty() bool {
	if c.raw == nil {
		return peerGonePortable(c.net)
	}
	k := c.ask()
	err := c.raw.Control(k.dirtyFn)
	return err != nil || k.dirty
}

func (c *Conn) look(fd uintptr) { c.asks.dirty = readable(fd) }

func peerGonePortable(c net.Conn) bool {
	sc, ok := bottom(c).(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	if err := raw.Control(func(fd uintptr) { gone = peerGone(fd) }); err != nil {
		return true
	}
	return gone
}
