//go:build linux && race

package listen

import "syscall"

// The ordinary calls tell the race detector what they touch.

func sysRead(fd uintptr, p []byte) (int, syscall.Errno) {
	n, err := syscall.Read(int(fd), p)
	return n, errnoOf(err)
}

func sysWrite(fd uintptr, a, b []byte) (int, syscall.Errno) {
	if len(a) == 0 {
		a = b
	}
	if len(a) == 0 {
		return 0, 0
	}
	n, err := syscall.Write(int(fd), a)
	return n, errnoOf(err)
}

func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	return err.(syscall.Errno)
}
