package app

import (
	"net"
	"net/url"
	"testing"

	"github.com/pergola-mesh/pergola/internal/nettest"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

func TestServersOnLoopbackAreNotPaced(t *testing.T) {
	d, err := newDialer(&url.URL{Scheme: "http", Host: nettest.Serve(t, func(net.Conn) {})}, &upstream.Transport{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, want := nettest.Congestions(t); nettest.Congestion(t, c.(*net.TCPConn)) != want {
		t.Errorf("congestion control %q, want %q", nettest.Congestion(t, c.(*net.TCPConn)), want)
	}
}
