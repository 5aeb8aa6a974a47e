//go:build unix && !linux

package listen

import "golang.org/x/sys/unix"

// peerGone sees an error or a full hang-up; a half-close it cannot tell from data.
func peerGone(fd uintptr) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(p, 0); err != nil || n == 0 {
		return false
	}
	return p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}
