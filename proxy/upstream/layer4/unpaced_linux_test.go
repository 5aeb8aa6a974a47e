package layer4

import (
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pergola-mesh/pergola/internal/nettest"
)

func TestServersOnLoopbackAreNotPaced(t *testing.T) {
	system, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if !strings.HasPrefix(string(system), "bbr") {
		t.Skipf("the system's congestion control is %s", system)
	}
	c, err := DefaultTransport.dial(t.Context(), "tcp", nettest.Serve(t, func(c net.Conn) {}), nil, newStream())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if name, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION); err != nil || name != "reno" {
			t.Errorf("congestion control %q, %v", name, err)
		}
	})
}
