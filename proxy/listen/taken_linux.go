package listen

import "golang.org/x/sys/unix"

// unsent is how many bytes wait in a socket for the peer to take them; -1 when that cannot be told.
func unsent(fd uintptr) int {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	if err != nil {
		return -1
	}
	return n
}
