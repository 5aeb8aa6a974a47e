//go:build linux

package integration

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/integration/harness"
	"github.com/pergola-mesh/pergola/internal/waittest"
)

// TestSystemdSockets starts the gateway with sockets as systemd passes them: two with the name of an entry point,
// which speaks HTTP/3 too, one with that of an entry point for UDP, one that goes by its address, as its name is
// a unit's, and one that is nobody's. Clients that came before are answered, and the process that replaces this
// one has them too.
func TestSystemdSockets(t *testing.T) {
	m := prepareMixed(t, "10s")
	var sockets []*os.File
	pass := func(network, address string) {
		var socket interface{ File() (*os.File, error) }
		if network == "udp" {
			pc, err := net.ListenPacket(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			socket = pc.(*net.UDPConn)
		} else {
			ln, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			socket = ln.(*net.TCPListener)
		}
		f, err := socket.File()
		if err != nil {
			t.Fatal(err)
		}
		sockets = append(sockets, f)
	}
	pass("udp", m.Web)
	pass("tcp", m.Web)
	pass("tcp", m.tcp)
	pass("udp", m.udp)
	pass("tcp", "127.0.0.1:0")
	waiting, err := net.Dial("tcp", m.Web) // nobody accepts yet: it waits
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	fmt.Fprintf(waiting, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	datagram, err := net.Dial("udp", m.udp)
	if err != nil {
		t.Fatal(err)
	}
	defer datagram.Close()
	fmt.Fprint(datagram, "hello")

	m.Pass("web:web:pergola.socket:udp:stranger", sockets...)
	m.Run()
	for _, f := range sockets {
		f.Close()
	}
	waiting.SetReadDeadline(time.Now().Add(harness.Patience))
	var answer bytes.Buffer
	answer.ReadFrom(waiting)
	if !strings.HasPrefix(answer.String(), "HTTP/1.1 200 ") {
		t.Errorf("the connection that waited got %q", answer.String())
	}
	datagram.SetReadDeadline(time.Now().Add(harness.Patience))
	echo := make([]byte, 100)
	if n, err := datagram.Read(echo); err != nil || string(echo[:n]) != "hello" {
		t.Errorf("the datagram that waited got %q, %v", echo[:n], err)
	}
	waittest.Until(t, "the log to tell of the socket that is nobody's", func() bool { return strings.Contains(m.Log(), "socket=stranger") })
	works := func() {
		t.Helper()
		m.AwaitHost("a.test", "/", 200)
		if err := m.askOnce(); err != nil {
			t.Errorf("HTTP/3: %v", err)
		}
		if got := echoed("tcp", m.tcp, nil); got != "hello" {
			t.Errorf("TCP: %s", got)
		}
		if got := echoed("udp", m.udp, nil); got != "hello" {
			t.Errorf("UDP: %s", got)
		}
	}
	works()
	u := m.Upgrading()
	u.Next()
	works()
	u.End()
	if n := strings.Count(m.Log(), "belongs to none of its entry points"); n != 1 {
		t.Errorf("the log tells of %d sockets that are nobody's", n)
	}
}
