package listen

import (
	"fmt"
	"os"
	"sync"
	"syscall"
)

// Parked is a connection without a goroutine.
type Parked interface {
	// Wake is called once, on a goroutine of its own, when there is something to read or the peer has
	// closed.
	Wake()
}

// Park lets the goroutine that runs c end: p is woken when c can be read. It reports whether c is
// parked; if so, p may have been woken before Park returns, and the caller must not touch it again.
// It is not to be called inside Loop.
//
// An idle connection then costs its descriptor and what the codec keeps, but no stack.
func (c *Conn) Park(p Parked) bool {
	if c.raw == nil {
		return false
	}
	lot, err := parking()
	if err != nil {
		return false
	}
	if c.tls != nil {
		dropSlack(c.tls)
	}
	return lot.park(c, p)
}

// Unpark takes a parked connection back without waking it. False: it is being woken already.
func (c *Conn) Unpark() bool {
	lot, err := parking()
	return err == nil && lot.take(c) != nil
}

var parking = sync.OnceValues(newLot)

// lot watches parked connections with an epoll instance of its own, which the runtime's poller watches
// in turn: it costs no thread. epoll(7).
type lot struct {
	epfd int
	mu   sync.Mutex // guards slots, free
	// slots hold who is parked; an event names its slot and the connection's generation.
	slots []slot
	free  []int32
}

type slot struct {
	conn *Conn
	who  Parked
	gen  int32
}

func newLot() (*lot, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // os.NewFile then hands it to the poller
		return nil, err
	}
	raw, err := os.NewFile(uintptr(fd), "parking lot").SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &lot{epfd: fd}
	go raw.Read(func(uintptr) bool {
		l.drain()
		return false
	})
	return l, nil
}

func (l *lot) park(c *Conn, p Parked) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.free)
	if n == 0 {
		l.slots = append(l.slots, slot{})
		l.free = append(l.free, int32(len(l.slots)-1))
		n = 1
	}
	i := l.free[n-1]
	s := &l.slots[i]
	s.conn, s.who = c, p
	s.gen++
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: i, Pad: s.gen}
	op := syscall.EPOLL_CTL_MOD
	if !c.watched {
		op = syscall.EPOLL_CTL_ADD
	}
	var err error
	if cerr := c.raw.Control(func(fd uintptr) { err = syscall.EpollCtl(l.epfd, op, int(fd), &event) }); cerr != nil {
		err = cerr
	}
	if err != nil {
		s.conn, s.who = nil, nil
		return false
	}
	l.free = l.free[:n-1]
	c.watched, c.slot = true, i
	return true
}

// take removes c, if it is there, and returns whom it would have woken.
func (l *lot) take(c *Conn) Parked {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.watched || l.slots[c.slot].conn != c {
		return nil
	}
	return l.empty(c.slot)
}

func (l *lot) empty(i int32) Parked {
	s := &l.slots[i]
	who := s.who
	s.conn, s.who = nil, nil
	l.free = append(l.free, i)
	return who
}

// drain wakes everybody whose event has come.
func (l *lot) drain() {
	var events [64]syscall.EpollEvent
	for {
		n, err := syscall.EpollWait(l.epfd, events[:], 0)
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 {
			return
		}
		for _, e := range events[:n] {
			l.mu.Lock()
			var who Parked
			if s := &l.slots[e.Fd]; s.conn != nil && s.gen == e.Pad {
				who = l.empty(e.Fd)
			}
			l.mu.Unlock()
			if who != nil {
				go who.Wake()
			}
		}
	}
}
