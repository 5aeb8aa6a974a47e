package listen

import (
	"io"
	"syscall"
	"unsafe"
)

// fused says whether connections use the fused path on this platform.
const fused = true

// ReadNow reads once from a socket that does not block. io.EOF at the end, ErrWouldBlock when there is
// nothing yet.
func ReadNow(fd uintptr, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, io.ErrShortBuffer
	}
	for {
		n, errno := sysRead(fd, p)
		switch {
		case errno == 0 && n > 0:
			return n, nil
		case errno == 0:
			return 0, io.EOF
		case errno == syscall.EAGAIN:
			return 0, ErrWouldBlock
		case errno != syscall.EINTR:
			return 0, errno
		}
	}
}

// WriteNow writes p once to a socket that does not block: how much went, and ErrWouldBlock when it is full.
func WriteNow(fd uintptr, p []byte) (int, error) { return rawWrite2(fd, p, nil) }

// rawWrite2 writes a and b once without waiting: how much went, and ErrWouldBlock when the socket
// is full.
func rawWrite2(fd uintptr, a, b []byte) (int, error) {
	for {
		n, errno := sysWrite(fd, a, b)
		switch errno {
		case 0:
			return n, nil
		case syscall.EAGAIN:
			return 0, ErrWouldBlock
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

type pollFd struct {
	fd      int32
	events  int16
	revents int16
}

const (
	pollErr   = 0x8
	pollHup   = 0x10
	pollRdHup = 0x2000
)

// poll asks which of events hold on fd now. poll(2).
func poll(fd uintptr, events int16) int16 {
	p := pollFd{fd: int32(fd), events: events}
	var zero syscall.Timespec
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1,
		uintptr(unsafe.Pointer(&zero)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return p.revents
}

func peerGone(fd uintptr) bool { return poll(fd, pollRdHup)&(pollRdHup|pollHup|pollErr) != 0 }

// readable reports whether a read would not wait: there are bytes, or the end, or an error. Looking at a
// byte costs half of what poll(2) does.
func readable(fd uintptr) bool {
	var p [1]byte
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p[0])), 1,
		syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	return errno != syscall.EAGAIN
}

// wakeEnded has the poller tell once more of a stream that has ended with all of it read. There is nothing left
// that shutdown(2) of the reading direction could take away.
func wakeEnded(fd uintptr) {
	var p [1]byte
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p[0])), 1,
		syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	if n == 0 && errno == 0 {
		syscall.Shutdown(int(fd), syscall.SHUT_RD)
	}
}
