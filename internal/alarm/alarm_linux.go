package alarm

import (
	"math"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// timerfd is an alarm by timerfd_create(2): a descriptor that becomes readable, among those of the connections.
type timerfd struct {
	file  *os.File
	often atomic.Bool // it comes so often that being late tells something
}

// often is for alarms that come at least as often as this.
const often = 100 * time.Millisecond

// newKernel is nil where the kernel gives none.
func newKernel(tell func()) source {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil
	}
	t := &timerfd{file: os.NewFile(uintptr(fd), "timer")}
	go t.run(tell)
	return t
}

// run tells until the file is closed. It reads as connections do: a call that the scheduler knows of would wake its
// monitor, which then looks after the process some sixty times within milliseconds.
func (t *timerfd) run(tell func()) {
	c, err := t.file.SyscallConn()
	if err != nil {
		return
	}
	var moments uint64 // since it was last read
	c.Read(func(fd uintptr) (done bool) {
		if n, _, _ := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&moments)), 8); n == 8 {
			tell()
			if moments > 1 && t.often.Load() {
				theGuard.held()
			}
		}
		return false
	})
}

func (t *timerfd) Set(first, every time.Duration) {
	t.often.Store(0 < every && every <= often)
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	spec := unix.ItimerSpec{
		Value:    unix.NsecToTimespec(moment(now.Nano(), int64(first), int64(every))),
		Interval: unix.NsecToTimespec(int64(every)),
	}
	if c, err := t.file.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME, &spec, nil) })
	}
}

// moment is when an alarm first comes that is set at now, all in nanoseconds since the system's start: none is before
// that, for the kernel would refuse it. Those that come as often come at one moment, so that the process wakes once for
// all.
func moment(now, first, every int64) int64 {
	at := now + min(max(0, first), math.MaxInt64/2)
	if every > 0 {
		at -= at % every
	}
	return at
}

func (t *timerfd) Stop() { t.file.Close() }
