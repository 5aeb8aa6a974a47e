package h1

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// A response that ends with its connection is whole only if TLS says so.
func TestTruncatedResponse(t *testing.T) {
	if !secure {
		return
	}
	for name, tt := range map[string]struct {
		end   func(c *peer)
		whole bool
	}{
		"close_notify":  {func(c *peer) { c.Close() }, true},
		"FIN alone":     {func(c *peer) { c.tcp.Close() }, false},
		"in a record":   {func(c *peer) { c.tcp.Write([]byte{23, 3, 3, 1, 0, 1, 2, 3}); c.tcp.Close() }, false},
		"not a record":  {func(c *peer) { c.tcp.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")); c.tcp.Close() }, false},
		"forged record": {func(c *peer) { c.tcp.Write(append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...)); c.tcp.Close() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil, func(c net.Conn) {
				br := bufio.NewReader(c)
				readHead(br)
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nsome of it")
				tt.end(c.(*peer))
			})
			c := r.dial()
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			out, err := io.ReadAll(c)
			if whole := err == nil && strings.HasSuffix(string(out), "0\r\n\r\n"); whole != tt.whole {
				t.Errorf("%v %q", err, out)
			}
			waittest.Until(t, "it is recorded", func() bool { return len(r.records()) == 1 })
			if rec := r.records()[0]; rec.Failed == tt.whole || !tt.whole && rec.Kind != exchange.UpstreamReset {
				t.Errorf("%+v", rec)
			}
		})
	}
}

// The tickets that a server sends behind the handshake make no connection unfit, however long it was
// idle; a farewell does.
func TestTicketsAndFarewells(t *testing.T) {
	if !secure {
		return
	}
	leave := make(chan struct{})
	left := make(chan struct{})
	r := newRig(t, nil, func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			if head, err := readHead(br); err != nil {
				return
			} else if strings.Contains(head, "last") {
				io.WriteString(c, ok)
				<-leave
				c.(*peer).Conn.(*tls.Conn).CloseWrite() // the socket stays open
				close(left)
				io.Copy(io.Discard, br)
				return
			}
			io.WriteString(c, ok)
		}
	})
	c := r.dial()
	br := bufio.NewReader(c)
	ask := func(method, path string) {
		t.Helper()
		io.WriteString(c, method+" "+path+" HTTP/1.1\r\nHost: h\r\n\r\n")
		head, err := readHead(br)
		if err != nil || !strings.HasPrefix(head, "HTTP/1.1 200") {
			t.Fatalf("%v %q", err, head)
		}
		io.ReadFull(br, make([]byte, 2))
	}
	ask("GET", "/")
	<-time.After(time.Duration(idleCheck) + 500*time.Millisecond) // it will be looked at
	ask("DELETE", "/")
	ask("GET", "/last")
	if n := r.connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
	close(leave)
	<-left
	ask("DELETE", "/") // would not be sent twice
	if n := r.connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// A client that never completes its record is not idle, and is cut like one that never completes its
// head.
func TestDribbledRecord(t *testing.T) {
	if !secure {
		return
	}
	r := newRig(t, nil, answer(ok))
	r.server.Timeouts.Header = 500 * time.Millisecond
	c := r.dial()
	br := bufio.NewReader(c)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	readHead(br)
	io.ReadFull(br, make([]byte, 2))
	c.tcp.Write([]byte{23, 3, 3, 0x40, 0}) // begins a record of 16 KiB, more than is sent in the time
	waittest.Until(t, "it is cut", func() bool {
		c.tcp.Write([]byte{0})
		return r.server.Active() == 0
	})
}
