package handover

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peerUID is the user the other end ran as when it connected or began to listen.
func peerUID(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); cerr != nil {
		return 0, cerr
	}
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}

// isNetwork reports whether f is a socket for "tcp" or "udp".
func isNetwork(f *os.File, network string) bool {
	kind, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && (kind == unix.SOCK_STREAM) == (network == "tcp") && (kind == unix.SOCK_DGRAM) == (network == "udp")
}
