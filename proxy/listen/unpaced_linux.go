package listen

import (
	"net/netip"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Unpaced is a Control of net.Dialer and net.ListenConfig that has a socket whose peers are on the loopback
// interface do without BBR, if that is what the system gives. BBR paces: a timer of the kernel lets every
// segment go, which on a way that nothing is lost on costs more than moving the bytes.
// docs/decisions/unpaced-loopback.md.
func Unpaced(_, address string, c syscall.RawConn) error {
	if at, err := netip.ParseAddrPort(address); err != nil || !at.Addr().Unmap().IsLoopback() {
		return nil
	}
	return c.Control(func(fd uintptr) {
		name, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
		if err == nil && strings.HasPrefix(name, "bbr") {
			unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno") // every system has it, and lets everybody use it
		}
	})
}
