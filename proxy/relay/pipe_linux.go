package relay

import (
	"io"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pergola-mesh/pergola/proxy/listen"
)

// pipe is a pipe of the kernel that bytes pass through between two sockets. It is empty whenever nobody
// has it.
type pipe struct{ r, w int }

const (
	// pipeSize is how much a pipe holds, in bytes, where the system lets it.
	pipeSize = 512 << 10
	// keptPipes is how many empty ones are kept.
	keptPipes = 64
	flags     = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK
)

var pipes struct {
	mu   sync.Mutex
	free []*pipe
}

// takePipe returns nil when the process has no descriptors left.
func takePipe() *pipe {
	pipes.mu.Lock()
	if n := len(pipes.free); n > 0 {
		p := pipes.free[n-1]
		pipes.free = pipes.free[:n-1]
		pipes.mu.Unlock()
		return p
	}
	pipes.mu.Unlock()
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize) // a smaller one works too
	return &pipe{fds[0], fds[1]}
}

// release gives the pipe back, or closes it when something is left in it.
func (p *pipe) release(empty bool) {
	if empty {
		pipes.mu.Lock()
		if len(pipes.free) < keptPipes {
			pipes.free = append(pipes.free, p)
			pipes.mu.Unlock()
			return
		}
		pipes.mu.Unlock()
	}
	unix.Close(p.r)
	unix.Close(p.w)
}

// fill moves what a socket has into the empty pipe. io.EOF at the end, listen.ErrWouldBlock when there is
// nothing yet.
func (p *pipe) fill(fd int) (int, error) {
	n, err := splice(fd, p.w, pipeSize)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// drain moves up to n bytes from the pipe to a socket. listen.ErrWouldBlock when that is full.
func (p *pipe) drain(fd, n int) (int, error) {
	n, err := splice(p.r, fd, n)
	if n == 0 && err == nil {
		err = io.ErrShortWrite
	}
	return n, err
}

// splice never waits, so the scheduler is not told of the call: telling it wakes the runtime's monitor
// thread every time the process was asleep, which costs more than all of Go's part in relaying.
func splice(from, to, n int) (int, error) {
	for {
		moved, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), flags)
		switch errno {
		case 0:
			return int(moved), nil
		case unix.EAGAIN:
			return 0, listen.ErrWouldBlock
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
