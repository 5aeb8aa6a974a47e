//go:build unix && !linux

package handover

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peerUID is the user this process runs as: the mode of the socket keeps others away.
func peerUID(*net.UnixConn) (int, error) { return os.Geteuid(), nil }

// isNetwork reports whether f is a socket for "tcp" or "udp".
func isNetwork(f *os.File, network string) bool {
	kind, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && (kind == unix.SOCK_STREAM) == (network == "tcp") && (kind == unix.SOCK_DGRAM) == (network == "udp")
}
