package gateway

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/nettest"
)

func TestEntryPointsOnLoopbackAreNotPaced(t *testing.T) {
	system, loopback := nettest.Congestions(t)
	for _, tt := range []struct {
		address string
		reuse   bool
		want    string
	}{{"127.0.0.1:0", false, loopback}, {"127.0.0.1:0", true, loopback}, {":0", false, system}} {
		ln, err := bind(&static.EntryPoint{Address: tt.address, ReusePort: tt.reuse})
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if name := nettest.Congestion(t, ln.(*net.TCPListener)); name != tt.want {
			t.Errorf("%v: congestion control %q", tt, name)
		}
		raw, err := ln.(*net.TCPListener).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if on, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT); err != nil || (on != 0) != tt.reuse {
				t.Errorf("%v: SO_REUSEPORT is %d, %v", tt, on, err)
			}
		})
	}
}
