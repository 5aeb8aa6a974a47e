package h1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// changing is a server that changes protocol for whoever asks, naming the path, and echoes; others get an answer.
func changing(c net.Conn) {
	br := bufio.NewReaderSize(c, 1<<10)
	for {
		head, err := readHead(br)
		if err != nil {
			return
		}
		path := strings.Fields(head)[1]
		if strings.Contains(head, "Upgrade: echo\r\n") {
			fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\nX-Path: %s\r\n\r\n", path)
			io.Copy(c, br)
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Path: %s\r\nContent-Length: 0\r\n\r\n", path)
	}
}

// change asks for a change of protocol.
func (r *rig) change(path string) *peer {
	r.t.Helper()
	c := r.dial()
	fmt.Fprintf(c, "GET %s?of=tunnel HTTP/1.1\r\nHost: tunnel.test\r\nX-Id: %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", path, path)
	var head []byte
	for b := [1]byte{}; !strings.HasSuffix(string(head), "\r\n\r\n"); head = append(head, b[0]) {
		if _, err := c.Read(b[:]); err != nil {
			r.t.Fatalf("%v behind %q", err, head)
		}
	}
	if !strings.HasPrefix(string(head), "HTTP/1.1 101 ") {
		r.t.Fatalf("%q", head)
	}
	return c
}

// remembering is an observer that keeps what it is told of the first tunnel to end.
type remembering struct{ told chan string }

// Observe is exchange.Observer.
func (m remembering) Observe(x *exchange.Exchange) {
	if r, p := &x.Request, &x.Response; p.Status == 101 {
		n := exchange.NewName
		select {
		case m.told <- fmt.Sprintf("%s %s %s %s %s %s %s %s", r.Method, r.Host, r.Path, r.Query, r.Target, r.Header.Get(n("X-Id")), r.Upgrade, p.Header.Get(n("X-Path"))):
		default:
		}
	}
}

// What is told of a tunnel at its end is its own, though others have had its buffers meanwhile.
func TestATunnelIsRememberedWithoutItsBuffers(t *testing.T) {
	r := newRig(t, nil, changing)
	seen := remembering{make(chan string, 1)}
	r.server.Observer = seen
	c := r.change("/first")
	for i := range 20 {
		r.change(fmt.Sprintf("/%d/%s", i, strings.Repeat("x", 300)))
		if out, err := r.send(fmt.Sprintf("GET /%s HTTP/1.1\r\nHost: other.test\r\nX-Other: %d\r\nConnection: close\r\n\r\n", strings.Repeat("y", 400), i)); err != nil || !strings.HasPrefix(out, "HTTP/1.1 200") {
			t.Fatalf("%v %q", err, out)
		}
	}
	io.WriteString(c, "still here")
	got := make([]byte, 10)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "still here" {
		t.Fatalf("%v %q", err, got)
	}
	c.CloseWrite()
	io.ReadAll(c)
	const want = "GET tunnel.test /first of=tunnel /first?of=tunnel /first echo /first?of=tunnel"
	if got := <-seen.told; got != want {
		t.Errorf("it was told as\n%q, want\n%q", got, want)
	}
}

// An idle tunnel holds none of the buffers of messages, which are 52 KiB.
func TestAnIdleTunnelHoldsNoBuffers(t *testing.T) {
	if portable || secure {
		t.Skip("what reads without the loop waits with a buffer, and crypto/tls has buffers of its own")
	}
	r := newRig(t, nil, changing)
	r.change("/")
	const tunnels = 200
	before := exchangetest.Held()
	for range tunnels {
		r.change("/")
	}
	exchangetest.AtMost(t, (exchangetest.Held()-before)/tunnels, 24<<10) // both ends of the test's included
}
