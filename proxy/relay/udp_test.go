package relay_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay"
)

// names is a server that answers each question with its number and its client's port, as one of DNS has
// the number of the question in its answer.
func names(t *testing.T) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo(binary.BigEndian.AppendUint16(buf[:n:n], uint16(from.(*net.UDPAddr).Port)), from)
		}
	})
	t.Cleanup(func() {
		pc.Close()
		wg.Wait()
	})
	return pc.LocalAddr().String()
}

// udpBackend connects sessions to a server, and tells of each before it does, if it is to.
type udpBackend struct {
	address atomic.Value
	begins  chan *exchange.Stream
}

func (b *udpBackend) Connect(ctx context.Context, s *exchange.Stream) (relay.Link, error) {
	if b.begins != nil {
		b.begins <- s // and once more when it may go on
		b.begins <- s
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", b.address.Load().(string))
	if err != nil {
		return relay.Link{}, exchange.DialFailed.With(err)
	}
	return relay.Link{Conn: c}, nil
}

type udpEdge struct {
	*relay.Datagrams
	socket  *net.UDPConn
	log     *log
	refused chan string
	route   atomic.Pointer[relay.Route]
}

func newUDPEdge(t *testing.T, change func(*relay.Datagrams)) *udpEdge {
	t.Helper()
	return newUDPEdgeAt(t, "udp", "127.0.0.1:0", change)
}

func newUDPEdgeAt(t *testing.T, network, address string, change func(*relay.Datagrams)) *udpEdge {
	t.Helper()
	pc, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	e := &udpEdge{socket: pc.(*net.UDPConn), log: &log{more: make(chan struct{}, 100)}, refused: make(chan string, 10)}
	e.Datagrams = &relay.Datagrams{
		Name: "dns", Route: e.route.Load, Observer: e.log, Idle: time.Minute,
		Refused: func(rule string) { e.refused <- rule },
	}
	if change != nil {
		change(e.Datagrams)
	}
	var wg sync.WaitGroup
	wg.Go(func() { e.Serve(e.socket) })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := e.Kill(ctx); err != nil {
			t.Errorf("%d sessions do not end", e.Active())
		}
		wg.Wait()
		pc.Close()
	})
	return e
}

func (e *udpEdge) client(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", e.socket.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends a question and returns the port that the server saw it come from.
func ask(t *testing.T, c net.Conn, question string) uint16 {
	t.Helper()
	if _, err := c.Write([]byte(question)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	n, err := c.Read(buf)
	if err != nil || n != len(question)+2 || string(buf[:n-2]) != question {
		t.Fatalf("%q is answered %q, %v", question, buf[:n], err)
	}
	return binary.BigEndian.Uint16(buf[n-2:])
}

// Where an entry point listens on all addresses of the system, an answer comes from the one that was asked. One
// socket of a client may ask two.
func TestUDPAnswersFromWhereItWasAsked(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems do not tell")
	}
	service := &udpBackend{}
	service.address.Store(names(t))
	for network, hosts := range map[string][]string{"udp4": {"127.0.0.1", "127.0.0.2"}, "udp": {"127.0.0.1", "127.0.0.2", "::1"}} {
		e := newUDPEdgeAt(t, network, ":0", nil)
		e.route.Store(&relay.Route{Service: service})
		port := e.socket.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		loose, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer loose.Close()
		loose.SetDeadline(time.Now().Add(10 * time.Second))
		for _, host := range hosts {
			to := netip.AddrPortFrom(netip.MustParseAddr(host), port)
			c, err := net.Dial("udp", to.String())
			if err != nil {
				t.Logf("%s: %v", host, err) // there is no IPv6
				continue
			}
			c.SetDeadline(time.Now().Add(10 * time.Second))
			ask(t, c, "one")
			ask(t, c, "two")
			c.Close()
			if to.Addr().Is6() {
				continue
			}
			loose.WriteToUDPAddrPort([]byte("three"), to)
			if _, from, err := loose.ReadFromUDPAddrPort(make([]byte, 100)); err != nil || from != to {
				t.Errorf("%v is asked, %v answers: %v", to, from, err)
			}
		}
	}
}

func TestUDPSessions(t *testing.T) {
	service := &udpBackend{}
	service.address.Store(names(t))
	e := newUDPEdge(t, nil)
	a, b := e.client(t), e.client(t)
	a.Write([]byte("early"))
	if rule := <-e.refused; rule != "no_router" {
		t.Error(rule)
	}
	e.route.Store(&relay.Route{Service: service})
	first := ask(t, a, "one")
	if again := ask(t, a, "two"); again != first {
		t.Errorf("a client's datagrams come from port %d, then %d", first, again)
	}
	if other := ask(t, b, "one"); other == first {
		t.Error("two clients share a session")
	}
	if got := ask(t, a, ""); got != first {
		t.Error("an empty datagram is lost")
	}
	if e.Active() != 2 {
		t.Errorf("%d sessions", e.Active())
	}
	// A session keeps its server when the route changes, as a connection does.
	e.route.Store(nil)
	if again := ask(t, a, "three"); again != first {
		t.Error("the session has ended with its route")
	}
	if err := e.Kill(context.Background()); err != nil || e.Active() != 0 {
		t.Errorf("%v, %d sessions", err, e.Active())
	}
	for range 2 {
		if how := e.log.wait(t); how != "well" {
			t.Error(how)
		}
	}
	if s := e.log.last; s.Protocol != "udp" || s.Received.Load() == 0 || s.Sent.Load() <= s.Received.Load() {
		t.Errorf("%+v", s)
	}
}

func TestUDPCapsAndIdle(t *testing.T) {
	service := &udpBackend{}
	service.address.Store(names(t))
	sessions := make(chan int, 10)
	e := newUDPEdge(t, func(d *relay.Datagrams) {
		d.MaxPerClient, d.Idle = 1, time.Second // the answer is there by then
		d.Sessions = func(delta int) { sessions <- delta }
	})
	e.route.Store(&relay.Route{Service: service})
	ask(t, e.client(t), "one")
	if n := <-sessions; n != 1 {
		t.Error(n)
	}
	refused := e.client(t)
	refused.Write([]byte("two"))
	select { // the session may have gone meanwhile
	case rule := <-e.refused:
		if rule != "max_sessions_per_client" {
			t.Error(rule)
		}
	case n := <-sessions:
		if n != -1 {
			t.Error(n)
		}
	}
	if how := e.log.wait(t); how != "well" {
		t.Error(how)
	}
	if err := e.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// Nobody listens: the session ends, and the next datagram finds another server.
// What comes before a session has its server is kept, as a socket would keep it, and no more than that.
func TestUDPBurst(t *testing.T) {
	for name, tt := range map[string]struct{ datagrams, size, arrive int }{
		"a burst":           {100, 100, 100},
		"more than is kept": {60, 1500, 41},
	} {
		t.Run(name, func(t *testing.T) {
			backend := &udpBackend{begins: make(chan *exchange.Stream)}
			backend.address.Store(names(t))
			var refused atomic.Int64
			e := newUDPEdge(t, func(d *relay.Datagrams) {
				d.Refused = func(rule string) {
					if rule != "waiting" {
						t.Errorf("refused for %s", rule)
					}
					refused.Add(1)
				}
			})
			e.route.Store(&relay.Route{Service: backend})
			c := e.client(t)
			var s *exchange.Stream
			for i := range tt.datagrams {
				if _, err := c.Write(binary.BigEndian.AppendUint16(make([]byte, tt.size-2), uint16(i))); err != nil {
					t.Fatal(err)
				}
				if s == nil {
					s = <-backend.begins
				}
				waittest.Until(t, "the datagram has come", func() bool { return s.Received.Load() == int64((i+1)*tt.size) })
			}
			<-backend.begins
			buf := make([]byte, 2048)
			for i := range tt.arrive {
				n, err := c.Read(buf)
				if err != nil || binary.BigEndian.Uint16(buf[n-4:]) != uint16(i) {
					t.Fatalf("answer %d: %q, %v", i, buf[:n], err)
				}
			}
			if n := refused.Load(); n != int64(tt.datagrams-tt.arrive) {
				t.Errorf("%d refused", n)
			}
		})
	}
}

func TestUDPServerGone(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := &udpBackend{}
	service.address.Store(pc.LocalAddr().String())
	pc.Close()
	e := newUDPEdge(t, nil)
	e.route.Store(&relay.Route{Service: service})
	c := e.client(t)
	c.Write([]byte("lost"))
	if how := e.log.wait(t); how != "upstream_reset" {
		t.Error(how)
	}
	service.address.Store(names(t))
	ask(t, c, "found")
}
