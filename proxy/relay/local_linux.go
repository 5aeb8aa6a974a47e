package relay

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// localRoom is how many bytes what the kernel says of a datagram's destination takes.
const localRoom = 64

// tellLocal has a socket that listens on all addresses of the system tell which of them each datagram was for. It
// reports whether it does, and whether the socket is one of IPv4.
func tellLocal(socket *net.UDPConn) (told, v4 bool) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return false, false
	}
	raw.Control(func(fd uintptr) {
		domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil {
			return
		}
		if v4 = domain == unix.AF_INET; v4 {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		} else {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) // mapped addresses included
		}
		told = err == nil
	})
	return told, v4
}

// localOf is the address that a datagram was for; zero when that was not told, or is none to answer from.
func localOf(control []byte) netip.Addr {
	var a netip.Addr
	for len(control) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return netip.Addr{}
		}
		switch control = rest; {
		case h.Level == syscall.IPPROTO_IP && h.Type == syscall.IP_PKTINFO && len(data) >= 8:
			a = netip.AddrFrom4([4]byte(data[4:8])) // behind the interface
		case h.Level == syscall.IPPROTO_IPV6 && h.Type == syscall.IPV6_PKTINFO && len(data) >= 16:
			a = netip.AddrFrom16([16]byte(data[:16])).Unmap()
		}
	}
	if a.IsMulticast() || a.IsValid() && a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// fromLocal is what tells the kernel to send a datagram from a.
func fromLocal(a netip.Addr, v4 bool) []byte {
	if v4 {
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: a.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: a.As16()})
}
