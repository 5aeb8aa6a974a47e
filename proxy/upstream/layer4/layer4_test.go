package layer4

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/nettest"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// server answers each connection with its name, after a line if it waits for one.
func server(t *testing.T, name string, wait bool) string {
	t.Helper()
	return nettest.Serve(t, func(c net.Conn) {
		line := ""
		if wait {
			line, _ = bufio.NewReader(c).ReadString('\n')
		}
		io.WriteString(c, name+line)
	})
}

// closed is an address where nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	return ln.Addr().String()
}

func newStream() *exchange.Stream {
	return &exchange.Stream{Conn: &exchange.Conn{Peer: netip.MustParseAddrPort("192.0.2.1:4000"), Local: netip.MustParseAddrPort("192.0.2.2:443")}}
}

// reach connects a stream and returns what the server says.
func reach(t *testing.T, s Service, stream *exchange.Stream) (string, error) {
	t.Helper()
	link, err := s.Connect(t.Context(), stream)
	if err != nil {
		return "", err
	}
	defer link.Release()
	defer link.Conn.Close()
	said, err := io.ReadAll(link.Conn)
	return string(said), err
}

func balancer(t *testing.T, r *Registry, c LoadBalancer) Service {
	t.Helper()
	c.Network = "tcp"
	s, err := r.LoadBalancer("s@file", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestServersTakeTurnsAndFailuresMoveOn(t *testing.T) {
	r := NewRegistry(Options{})
	s := balancer(t, r, LoadBalancer{Servers: []Server{{Address: server(t, "a", false)}, {Address: closed(t)}, {Address: server(t, "b", false)}}})
	got, attempts := map[string]int{}, 0
	for range 12 {
		stream := newStream()
		said, err := reach(t, s, stream)
		if err != nil {
			t.Fatal(err)
		}
		got[said]++
		attempts += stream.Attempts
	}
	if got["a"] < 4 || got["b"] < 4 || attempts != 13 { // the one that is not there is tried once, and then left alone
		t.Errorf("%v in %d attempts", got, attempts)
	}
	gone := balancer(t, r, LoadBalancer{Servers: []Server{{Address: closed(t)}, {Address: closed(t)}}})
	for range 2 { // alone they are tried all the same
		stream := newStream()
		if _, err := reach(t, gone, stream); !errors.Is(err, exchange.DialFailed) || stream.Attempts != 2 {
			t.Errorf("%v after %d attempts", err, stream.Attempts)
		}
	}
	if _, err := reach(t, balancer(t, r, LoadBalancer{}), newStream()); !errors.Is(err, exchange.NoEndpoint) {
		t.Errorf("no servers: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gone.Connect(ctx, newStream()); err == nil {
		t.Error("a stream that has ended is connected")
	}
}

func TestProxyHeader(t *testing.T) {
	echo := server(t, "", true)
	s := balancer(t, NewRegistry(Options{}), LoadBalancer{Servers: []Server{{Address: echo}}, Transport: &Transport{ProxyVersion: 1}})
	if said, err := reach(t, s, newStream()); err != nil || said != "PROXY TCP4 192.0.2.1 192.0.2.2 4000 443\r\n" {
		t.Errorf("%q, %v", said, err)
	}
}

func TestHealthCheck(t *testing.T) {
	well, sick := server(t, "+PONG", false), server(t, "-LOADING", false)
	r := NewRegistry(Options{})
	s := balancer(t, r, LoadBalancer{Servers: []Server{{Address: well}, {Address: sick}, {Address: closed(t)}},
		HealthCheck: &HealthCheck{Send: "PING\n", Expect: "+PONG", Interval: 20 * time.Millisecond, Timeout: 20 * time.Second}})
	if !s.Checked() || !s.Healthy() {
		t.Error("servers are not up when they are first seen")
	}
	waittest.Until(t, "the well one alone is up", func() bool {
		up := 0
		for _, state := range s.Status() {
			if state == "UP" {
				up++
			}
		}
		return up == 1 && s.Status()[well] == "UP"
	})
	for range 4 {
		if said, err := reach(t, s, newStream()); err != nil || said != "+PONG" {
			t.Errorf("%q, %v", said, err)
		}
	}
	down := 0
	for _, e := range r.Servers() {
		if !e.Up {
			down++
		}
	}
	if down != 2 {
		t.Errorf("%+v", r.Servers())
	}
}

func TestWeighted(t *testing.T) {
	r := NewRegistry(Options{})
	child := func(name string, servers ...Server) Service {
		s, err := r.LoadBalancer(name, LoadBalancer{Network: "tcp", Servers: servers})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	a, b, none := child("a", Server{Address: server(t, "a", false)}), child("b", Server{Address: server(t, "b", false)}), child("none")
	w, err := r.Weighted("w", Weighted{Services: []Child{{"a", a, 3}, {"none", none, 1}, {"b", b, 0}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 8 { // one without servers gives its turn to the next that has a share
		if said, err := reach(t, w, newStream()); err != nil || said != "a" {
			t.Errorf("%q, %v", said, err)
		}
	}
	for _, c := range []Weighted{{}, {Services: []Child{{"a", a, -1}}}, {Services: []Child{{"a", a, 1}}, HealthCheck: true}} {
		if _, err := r.Weighted("w", c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// What is known of a server outlives the service that it was learnt by.
func TestEndpointsOutliveServices(t *testing.T) {
	r := NewRegistry(Options{})
	c := LoadBalancer{Network: "tcp", Servers: []Server{{Address: closed(t)}, {Address: server(t, "a", false)}}}
	old, err := r.LoadBalancer("s@file", c)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		reach(t, old, newStream())
	}
	fresh, err := r.LoadBalancer("s@file", c)
	if err != nil {
		t.Fatal(err)
	}
	old.Close()
	old.Close()
	for range 4 {
		stream := newStream()
		if said, err := reach(t, fresh, stream); err != nil || said != "a" || stream.Attempts != 1 {
			t.Errorf("%q, %v after %d attempts", said, err, stream.Attempts)
		}
	}
	fresh.Close()
	if n := len(r.Servers()); n != 0 {
		t.Errorf("%d servers are left", n)
	}
}

func TestRefusedConfigurations(t *testing.T) {
	r := NewRegistry(Options{})
	for _, address := range []string{"", "a", "a:0", "a:x", "tcp://a:1", ":80"} {
		if _, err := r.LoadBalancer("s", LoadBalancer{Network: "tcp", Servers: []Server{{Address: address}}}); err == nil || !strings.Contains(err.Error(), "address") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, h := range []HealthCheck{{Port: 70000}, {Interval: -1}, {Protocol: "oracle"}, {User: "a\x00b"}, {Expect: strings.Repeat("x", maxExpect+1)}} {
		if _, err := r.LoadBalancer("s", LoadBalancer{Network: "tcp", HealthCheck: &h}); err == nil {
			t.Errorf("%+v is taken", h)
		}
	}
	if len(r.Servers()) != 0 {
		t.Error("a refused service has left servers")
	}
}

// A server that is left alone is tried by one stream when its time is up, not by all.
func TestOneTriesAgain(t *testing.T) {
	e := &endpoint{}
	e.failed()
	if !e.avoided() {
		t.Error("a server that has just failed is tried")
	}
	e.avoid.Store(1) // long ago
	var tries atomic.Int32
	for range 10 {
		if !e.avoided() {
			tries.Add(1)
		}
	}
	if tries.Load() != 1 {
		t.Errorf("%d tries", tries.Load())
	}
}

// What a stream begins with comes before TLS, and is said again to the server that is tried next.
func TestBegin(t *testing.T) {
	s := balancer(t, NewRegistry(Options{}), LoadBalancer{Servers: []Server{{server(t, "no", false), false}, {server(t, "yes", false), false}}})
	stream, said := newStream(), ""
	stream.Begin = func(c io.ReadWriter, secure bool) error {
		answer := make([]byte, 2)
		if _, err := io.ReadFull(c, answer); err != nil || secure {
			return exchange.UpstreamReset.With(err)
		}
		if said += string(answer); string(answer) == "no" {
			return exchange.UpstreamProtocol.Withf("it says no")
		}
		return nil
	}
	if rest, err := reach(t, s, stream); err != nil || rest != "s" || said != "noye" && said != "ye" {
		t.Errorf("%q after %q, %v", rest, said, err)
	}
	silent := balancer(t, NewRegistry(Options{}), LoadBalancer{Transport: &Transport{DialTimeout: 50 * time.Millisecond},
		Servers: []Server{{server(t, "", true), false}}})
	if _, err := reach(t, silent, stream); !errors.Is(err, exchange.DialTimeout) {
		t.Errorf("a server that says nothing: %v", err)
	}
}
