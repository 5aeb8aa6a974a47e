package listen

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pergola-mesh/pergola/internal/nettest"
)

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
		t.Run(tt.system+" "+tt.address, func(t *testing.T) {
			listening := net.ListenConfig{Control: func(network, _ string, c syscall.RawConn) error {
				var lacking error
				if err := c.Control(func(fd uintptr) {
					lacking = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, tt.system)
				}); err != nil {
					return err
				}
				if lacking != nil {
					t.Skipf("this kernel does not have %s: %v", tt.system, lacking)
				}
				return Unpaced(network, tt.address, c)
			}}
			ln, err := listening.Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
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
			for _, c := range []syscall.Conn{ln.(*net.TCPListener), accepted.(*net.TCPConn)} {
				if got := nettest.Congestion(t, c); got != tt.want {
					t.Errorf("%T: %s, want %s", c, got, tt.want)
				}
			}
		})
	}
}
