package listen

import (
	"context"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// congestion is the congestion control of a socket.
func congestion(t *testing.T, c syscall.Conn) (name string) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			name, err = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestUnpaced(t *testing.T) {
	for _, tt := range []struct{ system, address, want string }{
		{"bbr", "127.0.0.1:80", "reno"},
		{"bbr", "127.0.1.5:80", "reno"},
		{"bbr", "[::1]:80", "reno"},
		{"bbr", "[::ffff:127.0.0.1]:80", "reno"},
		{"bbr", "192.0.2.1:80", "bbr"},
		{"bbr", "[2001:db8::1]:80", "bbr"},
		{"bbr", "0.0.0.0:80", "bbr"},
		{"bbr", "[::]:80", "bbr"},
		{"bbr", ":80", "bbr"},
		{"cubic", "127.0.0.1:80", "cubic"},
	} {
		var lacking error
		listening := net.ListenConfig{Control: func(network, _ string, c syscall.RawConn) error {
			if err := c.Control(func(fd uintptr) {
				lacking = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, tt.system)
			}); err != nil {
				return err
			}
			return Unpaced(network, tt.address, c)
		}}
		ln, err := listening.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if lacking != nil {
			t.Logf("%s is not to be had here: %v", tt.system, lacking)
			continue
		}
		if got := congestion(t, ln.(*net.TCPListener)); got != tt.want {
			t.Errorf("%s, and the system gives %s: %s, want %s", tt.address, tt.system, got, tt.want)
		}
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		if got := congestion(t, accepted.(*net.TCPConn)); got != tt.want {
			t.Errorf("accepted of %s, and the system gives %s: %s, want %s", tt.address, tt.system, got, tt.want)
		}
	}
}
