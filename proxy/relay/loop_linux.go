package relay

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop moves the bytes of pairs of plain sockets, on one goroutine. It watches them with an epoll instance
// of its own, which the runtime's poller watches in turn, and only for what somebody waits for: the
// runtime's poller wakes the process for whatever arrives, also while there is no room to pass it on to.
// epoll(7).
type loop struct {
	epfd int
	bell int // an eventfd, which is rung when told has grown

	mu   sync.Mutex // guards what follows
	ends map[int32]*end
	told []*pair // who is to be cut

	// What follows is the goroutine's own.
	busy    []*end // of which more can be moved at once
	turn    []*end // those of them whose turn it is
	events  [64]unix.EpollEvent
	awake   [64]*end
	unsure  bool // some end may have had more than was taken: what comes from now on wakes the loop by itself
	scratch block
}

// loops returns one loop for each processor. They are there from the first stream on.
var loops = sync.OnceValues(func() ([]*loop, error) {
	all := make([]*loop, runtime.GOMAXPROCS(0))
	for i := range all {
		l, err := newLoop()
		if err != nil {
			return nil, err
		}
		all[i] = l
	}
	return all, nil
})

func newLoop() (*loop, error) {
	l := &loop{ends: map[int32]*end{}}
	var err error
	if l.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if l.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err := l.watch(unix.EPOLL_CTL_ADD, l.bell, unix.EPOLLIN); err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(l.epfd, true); err != nil { // os.NewFile then hands it to the poller
		return nil, err
	}
	raw, err := os.NewFile(uintptr(l.epfd), "relay loop").SyscallConn()
	if err != nil {
		return nil, err
	}
	go raw.Read(func(uintptr) bool {
		l.run()
		return false
	})
	return l, nil
}

// lightest is the loop that has the fewest pairs.
func lightest(all []*loop) *loop {
	best, least := all[0], -1
	for _, l := range all {
		l.mu.Lock()
		n := len(l.ends)
		l.mu.Unlock()
		if least < 0 || n < least {
			best, least = l, n
		}
	}
	return best
}

// add begins to move p's bytes. On an error p is the caller's again.
func (l *loop) add(p *pair) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range p.ends {
		e := &p.ends[i]
		e.asked = unix.EPOLLIN
		if err := l.watch(unix.EPOLL_CTL_ADD, e.fd, e.asked); err != nil {
			if i > 0 { // closing is not enough: the socket has another descriptor
				l.watch(unix.EPOLL_CTL_DEL, p.ends[0].fd, 0)
				delete(l.ends, int32(p.ends[0].fd))
			}
			return err
		}
		l.ends[int32(e.fd)] = e
	}
	return nil
}

// remove forgets p, whose descriptors are about to be closed.
func (l *loop) remove(p *pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.over = true
	for i := range p.ends {
		delete(l.ends, int32(p.ends[i].fd))
	}
}

// cut has p end soon. From any goroutine, and also when it has ended.
func (l *loop) cut(p *pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !p.over {
		l.told = append(l.told, p)
		one := uint64(1)
		unix.RawSyscall(unix.SYS_WRITE, uintptr(l.bell), uintptr(unsafe.Pointer(&one)), 8)
	}
}

func (l *loop) watch(op, fd int, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(fd)}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(l.epfd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&event)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("epoll_ctl: %w", errno)
	}
	return nil
}

// run goes on until nothing is left to do without waiting.
func (l *loop) run() {
	for {
		n := l.poll()
		if n == 0 && len(l.busy) == 0 {
			return
		}
		for i := range n {
			if e := l.awake[i]; e != nil && !e.pair.over {
				e.wake(l.events[i].Events)
			}
			l.awake[i] = nil
		}
		if len(l.busy) == 0 {
			if !l.unsure && n < len(l.events) {
				return
			}
			l.unsure = false
			continue
		}
		l.turn, l.busy = l.busy, l.turn[:0]
		for i, e := range l.turn {
			l.turn[i] = nil
			e.busy = false
			if !e.pair.over {
				e.move()
			}
		}
		runtime.Gosched() // the others' turn: meanwhile more comes together, which costs less
	}
}

// poll finds out who can go on, without waiting, and cuts who is to be cut.
func (l *loop) poll() int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epfd), uintptr(unsafe.Pointer(&l.events)), uintptr(len(l.events)), 0, 0, 0)
	if errno != 0 {
		n = 0
	}
	l.mu.Lock()
	for i, event := range l.events[:n] {
		l.awake[i] = l.ends[event.Fd] // nil: the bell, or gone
	}
	told := l.told
	l.told = nil
	l.mu.Unlock()
	if told != nil {
		var rung [8]byte
		unix.RawSyscall(unix.SYS_READ, uintptr(l.bell), uintptr(unsafe.Pointer(&rung)), 8)
		for _, p := range told {
			p.finish(errCut)
		}
	}
	return int(n)
}
