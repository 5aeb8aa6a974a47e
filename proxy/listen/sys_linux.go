//go:build linux && !race

package listen

import (
	"syscall"
	"unsafe"
)

// The descriptors are non-blocking: RawSyscall spares the scheduler's bookkeeping, which costs more
// than the rest of the call.

//
// recvfrom and sendto rather than read and write: sockets are all there is here, and it spares the
// kernel the layer for files.

func sysRead(fd uintptr, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0, 0)
	return int(n), errno
}

func sysWrite(fd uintptr, a, b []byte) (int, syscall.Errno) {
	if len(a) == 0 {
		a, b = b, nil
	}
	if len(a) == 0 {
		return 0, 0
	}
	if len(b) == 0 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&a[0])), uintptr(len(a)), syscall.MSG_NOSIGNAL, 0, 0)
		return int(n), errno
	}
	iov := [2]syscall.Iovec{{Base: &a[0]}, {Base: &b[0]}}
	iov[0].SetLen(len(a))
	iov[1].SetLen(len(b))
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&iov[0])), 2)
	return int(n), errno
}
