package gateway

import (
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pergola-mesh/pergola/config/static"
)

func TestEntryPointsOnLoopbackAreNotPaced(t *testing.T) {
	system, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if !strings.HasPrefix(string(system), "bbr") {
		t.Skipf("the system's congestion control is %s", system)
	}
	for _, tt := range []struct {
		address string
		reuse   bool
		want    string
	}{{"127.0.0.1:0", false, "reno"}, {"127.0.0.1:0", true, "reno"}, {":0", false, "bbr"}} {
		ln, err := bind(&static.EntryPoint{Address: tt.address, ReusePort: tt.reuse})
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		raw, err := ln.(*net.TCPListener).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if name, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION); err != nil || !strings.HasPrefix(name, tt.want) {
				t.Errorf("%v: congestion control %q, %v", tt, name, err)
			}
			if on, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT); err != nil || (on != 0) != tt.reuse {
				t.Errorf("%v: SO_REUSEPORT is %d, %v", tt, on, err)
			}
		})
	}
}
