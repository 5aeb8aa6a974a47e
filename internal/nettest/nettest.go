// Package nettest makes connections and servers for tests, on loopback.
package nettest

import (
	"net"
	"testing"
	"time"
)

// patience is how long a connection may be under way.
const patience = 20 * time.Second

// Pair returns both ends of a TCP connection, which are closed with the test at the latest.
func Pair(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	ln := listen(t)
	defer ln.Close()
	dialled, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{dialled, accepted} {
		c.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { c.Close() })
	}
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn)
}

// Serve has answer serve each connection to an address, which it returns, and closes it after. It accepts
// until the test ends.
func Serve(t testing.TB, answer func(net.Conn)) string {
	t.Helper()
	ln := listen(t)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				answer(c)
			}()
		}
	}()
	return ln.Addr().String()
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}
