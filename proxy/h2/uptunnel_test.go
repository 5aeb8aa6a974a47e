//lint:file-ignore SA1019 x/net/http2 is here because it is an engine of its own, not a way into net/http

package h2

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// TestPoolTunnels: a change of protocol goes to servers of HTTP/2 as an extended CONNECT, and comes back as
// HTTP/1.1 has it. RFC 8441.
func TestPoolTunnels(t *testing.T) {
	r := newRig(t, func(x *exchange.Exchange) error {
		if string(x.Request.Path) == "/no" {
			x.Respond(403, "text/plain", []byte("no"))
			return nil
		}
		x.Response.Status, x.Response.Tunnel, x.Response.Proto = 101, newEchoTunnel(), exchange.HTTP2
		return nil
	})
	p := newTestPool(t, PoolConfig{Dial: (&reference{addr: r.addr}).dial})
	const key, accept = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" // RFC 6455 §1.3
	request := func(path string) *exchange.Exchange {
		return exchangetest.Request("GET", path, "Upgrade: websocket", "Sec-WebSocket-Key: "+key)
	}
	x := request("/")
	if err := p.Handle(x); err != nil {
		t.Fatal(err)
	}
	a := &x.Response
	if a.Status != 101 || string(a.Upgrade) != "websocket" || string(a.Header.Get(exchange.NewName("Sec-WebSocket-Accept"))) != accept {
		t.Fatal(a.Status, string(a.Upgrade), string(a.Header.AppendTo(nil)))
	}
	buf := make([]byte, 200_000)
	for _, text := range []string{"hello", strings.Repeat("long ", 30_000)} {
		go a.Tunnel.Write([]byte(text))
		if _, err := io.ReadFull(a.Tunnel, buf[:len(text)]); err != nil || string(buf[:len(text)]) != text {
			t.Fatal(err)
		}
	}
	a.Tunnel.CloseWrite()
	if rest, err := io.ReadAll(a.Tunnel); err != nil || string(rest) != "bye" {
		t.Fatal(string(rest), err)
	}
	a.Close()
	x.Free()

	if got, err := ask(p, request("/no")); err != nil || got != "no" {
		t.Fatal(got, err)
	}

	x = request("/")
	if err := p.Handle(x); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := x.Response.Tunnel.Read(buf)
		ended <- err
	}()
	x.Response.Tunnel.Close()
	if err := <-ended; err == nil {
		t.Error("a closed tunnel can be read")
	}
	x.Response.Close()
	x.Free()
	p.Close()
}

// TestPoolTunnelRefused: a server that has not said that it can is not asked.
func TestPoolTunnelRefused(t *testing.T) {
	s := newReference(t, func(w http.ResponseWriter, r *http.Request) { t.Error("it was asked") }, &http2.Server{})
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	x := exchangetest.Request("GET", "/", "Upgrade: websocket")
	if _, err := ask(p, x); exchange.KindOf(err) != exchange.UpstreamProtocol || x.Record.Sent {
		t.Fatal(err)
	}
}

// A server that does not answer a change of protocol is given up on after as long as any other.
func TestPoolGivesUpOnATunnel(t *testing.T) {
	const limit = time.Minute // the sweeper's, not a timer of the request's own
	asked := make(chan struct{})
	s := newRaw(t, func(c *rawConn) {
		c.greet(frame.Setting{ID: frame.EnableConnectProtocol, Value: 1})
		c.until(frame.Headers)
		close(asked)
		c.drain()
	})
	p := newTestPool(t, PoolConfig{Dial: s.dial, HeadTimeout: limit})
	answer := make(chan error, 1)
	go func() {
		_, err := ask(p, exchangetest.Request("GET", "/", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
		answer <- err
	}()
	<-asked
	u := (*p.conns.Load())[0]
	u.mu.Lock()
	for _, k := range u.streams {
		k.sweep(clock.Now(), false)
		k.sweep(clock.Now()+int64(2*limit), false)
	}
	u.leave()
	select {
	case err := <-answer:
		if exchange.KindOf(err) != exchange.UpstreamTimeout {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the request waits for ever")
	}
}
