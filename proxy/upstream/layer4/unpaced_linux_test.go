package layer4

import (
	"net"
	"testing"

	"github.com/pergola-mesh/pergola/internal/nettest"
)

func TestServersOnLoopbackAreNotPaced(t *testing.T) {
	c, err := DefaultTransport.dial(t.Context(), "tcp", nettest.Serve(t, func(c net.Conn) {}), nil, newStream())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, want := nettest.Congestions(t); nettest.Congestion(t, c.(*net.TCPConn)) != want {
		t.Errorf("congestion control %q, want %q", nettest.Congestion(t, c.(*net.TCPConn)), want)
	}
}
