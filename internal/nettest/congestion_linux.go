package nettest

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Congestion is the congestion control of a socket.
func Congestion(t testing.TB, c syscall.Conn) (name string) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	controlled := raw.Control(func(fd uintptr) {
		name, err = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	})
	if controlled != nil || err != nil {
		t.Fatal(controlled, err)
	}
	return name
}

// Congestions are what the system gives a socket, and what one on the loopback interface is to have that the gateway
// has made: the same, where that is not BBR.
func Congestions(t testing.TB) (system, loopback string) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if err != nil {
		t.Fatal(err)
	}
	if system = strings.TrimSpace(string(text)); strings.HasPrefix(system, "bbr") {
		return system, "reno"
	}
	return system, system
}
