package relay_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay"
)

func echo(c *net.TCPConn) { io.Copy(c, c) }

// The server speaks first, the client's half-close reaches it, and its last words reach the client.
func TestServerFirstAndHalfClose(t *testing.T) {
	server := serve(t, func(c *net.TCPConn) {
		io.WriteString(c, "hello\n")
		said, _ := io.ReadAll(c)
		io.WriteString(c, "you said "+string(said))
	})
	e := newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: server}}})
	c := e.dial(t)
	greeting := make([]byte, 6)
	if _, err := io.ReadFull(c, greeting); err != nil || string(greeting) != "hello\n" {
		t.Fatalf("%q, %v", greeting, err)
	}
	io.WriteString(c, "something")
	c.CloseWrite()
	answer, err := io.ReadAll(c)
	if err != nil || string(answer) != "you said something" {
		t.Errorf("%q, %v", answer, err)
	}
	if how := e.log.wait(t); how != "well" {
		t.Error(how)
	}
	if s := e.log.last; s.Received.Load() != 9 || s.Sent.Load() != int64(6+len(answer)) {
		t.Errorf("counted %d and %d", s.Received.Load(), s.Sent.Load())
	}
}

// Whoever is reset has the other side reset, so that nobody takes a part for the whole.
func TestReset(t *testing.T) {
	seen := make(chan error, 1)
	server := serve(t, func(c *net.TCPConn) {
		io.WriteString(c, "x")
		_, err := io.ReadAll(c)
		seen <- err
	})
	e := newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: server}}})
	c := e.dial(t)
	io.ReadFull(c, make([]byte, 1))
	c.SetLinger(0)
	c.Close()
	if err := <-seen; !isReset(err) {
		t.Errorf("the server sees %v", err)
	}
	if how := e.log.wait(t); how != "client_abort" {
		t.Error(how)
	}

	server = serve(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		c.SetLinger(0)
	})
	e.routes.Store(&routes{plain: &relay.Route{Service: &backend{address: server}}})
	c = e.dial(t)
	io.WriteString(c, "x")
	if _, err := io.ReadAll(c); !isReset(err) {
		t.Errorf("the client sees %v", err)
	}
	if how := e.log.wait(t); how != "upstream_reset" {
		t.Error(how)
	}
}

// What is left of a stream after one side has ended has its time.
func TestTerminationDelay(t *testing.T) {
	release := make(chan struct{})
	server := serve(t, func(c *net.TCPConn) {
		io.ReadAll(c)
		<-release
	})
	defer close(release)
	e := newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: server, delay: time.Millisecond}}})
	c := e.dial(t)
	c.CloseWrite()
	if _, err := io.ReadAll(c); !isReset(err) {
		t.Errorf("the client sees %v", err)
	}
	if how := e.log.wait(t); how != "client_timeout" {
		t.Error(how)
	}
}

func TestIdle(t *testing.T) {
	e := newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: serve(t, echo)}}}, func(s *relay.Server) { s.Idle = time.Millisecond })
	c := e.dial(t)
	if _, err := io.ReadAll(c); !isReset(err) {
		t.Errorf("the client sees %v", err)
	}
	if how := e.log.wait(t); how != "client_timeout" {
		t.Error(how)
	}
}

// Drain waits for streams to end; Kill ends them, those without a server too.
func TestDrainAndKill(t *testing.T) {
	e := newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: serve(t, echo)}}})
	c := e.dial(t)
	io.WriteString(c, "x")
	io.ReadFull(c, make([]byte, 1))
	short, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := e.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a drain with a stream open: %v", err)
	}
	e.routes.Store(&routes{plain: &relay.Route{Service: stuck{}}})
	waiting := e.dial(t)
	for e.Active() < 2 {
		runtime.Gosched()
	}
	if err := e.Kill(context.Background()); err != nil || e.Active() != 0 {
		t.Errorf("%v, %d active", err, e.Active())
	}
	for _, c := range []*net.TCPConn{c, waiting} {
		if _, err := io.ReadAll(c); !isReset(err) {
			t.Errorf("the client sees %v", err)
		}
	}
	if a, b := e.log.wait(t), e.log.wait(t); a != "draining" || b != "draining" {
		t.Error(a, b)
	}
}

// stuck is a service whose servers do not answer.
type stuck struct{}

func (stuck) Connect(ctx context.Context, s *exchange.Stream) (relay.Link, error) {
	<-ctx.Done()
	return relay.Link{}, exchange.DialTimeout.With(ctx.Err())
}

// gate counts who is in.
type gate struct {
	refuse  bool
	in, was int
}

func (g *gate) Enter(*exchange.Conn) error {
	if g.refuse {
		return exchange.Forbidden
	}
	g.in++
	g.was++
	return nil
}
func (g *gate) Leave(*exchange.Conn) { g.in-- }

func TestGates(t *testing.T) {
	open, shut := &gate{}, &gate{refuse: true}
	e := newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: serve(t, echo)}, Gates: []exchange.Gate{open, shut}}})
	e.knock()
	if how := e.log.wait(t); how != "forbidden" || open.in != 0 || open.was != 1 {
		t.Errorf("%s, %+v", how, open)
	}
	for err, want := range map[error]string{exchange.NoEndpoint: "no_endpoint", exchange.DialFailed.With(io.EOF): "dial_failed"} {
		e.routes.Store(&routes{plain: &relay.Route{Service: &backend{err: err}, Gates: []exchange.Gate{open}}})
		e.knock()
		if how := e.log.wait(t); how != want || open.in != 0 {
			t.Errorf("%s instead of %s, %+v", how, want, open)
		}
	}
	e.routes.Store(&routes{plain: &relay.Route{Err: exchange.Internal}})
	e.knock()
	if how := e.log.wait(t); how != "internal" {
		t.Error(how)
	}
}

// TLS passes through as it came, however the ClientHello is cut, or is terminated.
func TestTLS(t *testing.T) {
	secure := serve(t, func(c *net.TCPConn) {
		s := tls.Server(c, terminating()())
		defer s.Close()
		io.Copy(s, s)
	})
	r := &routes{
		plain: &relay.Route{Service: &backend{address: serve(t, echo)}},
		secure: map[string]*relay.Route{
			"pass.example": {Service: &backend{address: secure}},
			"term.example": {Service: &backend{address: serve(t, echo)}, TLS: terminating()},
		},
	}
	e := newEdge(t, r)
	for _, name := range []string{"pass.example", "term.example"} {
		for _, size := range []int{1, 7, 1 << 20} {
			raw := e.dial(t)
			c := tls.Client(&trickle{raw, size}, &tls.Config{ServerName: name, InsecureSkipVerify: true})
			want := strings.Repeat("over TLS ", 5000)
			go func() {
				io.WriteString(c, want)
				c.CloseWrite()
			}()
			got, err := io.ReadAll(c)
			if err != nil || string(got) != want {
				t.Errorf("%s by %d bytes: %d bytes, %v", name, size, len(got), err)
			}
			c.Close()
			if how := e.log.wait(t); how != "well" || e.log.last.ServerName != name || e.log.last.Passthrough != (name == "pass.example") {
				t.Errorf("%s: %s %+v", name, how, e.log.last)
			}
		}
	}
	other := e.dial(t)
	tls.Client(other, &tls.Config{ServerName: "other.example", InsecureSkipVerify: true}).Handshake()
	if err := <-e.refused; err.Error() != "left to HTTP" {
		t.Error(err)
	}
	garbage := e.dial(t)
	garbage.Write([]byte{22, 3, 1, 0, 5, 9, 9, 9, 9, 9})
	if err := <-e.refused; !strings.Contains(err.Error(), "TLS: ") {
		t.Error(err)
	}
	text := e.dial(t)
	io.WriteString(text, "GET / HTTP/1.0\r\n\r\n")
	text.CloseWrite()
	if got, err := io.ReadAll(text); err != nil || !strings.HasPrefix(string(got), "GET /") {
		t.Errorf("without TLS: %q, %v", got, err)
	}
	e.log.wait(t)
}

// trickle writes little at a time.
type trickle struct {
	net.Conn
	size int
}

func (c *trickle) Write(p []byte) (n int, err error) {
	for part := range slices.Chunk(p, c.size) {
		if _, err := c.Conn.Write(part); err != nil {
			return n, err
		}
		if n += len(part); n > 2000 { // the ClientHello is through
			m, err := c.Conn.Write(p[n:])
			return n + m, err
		}
	}
	return n, nil
}

// A Postgres client asks for TLS before TLS begins; so does whoever speaks to the server for it.
func TestPostgres(t *testing.T) {
	request := []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}
	asked := make(chan []byte, 2)
	var answer atomic.Int32
	answer.Store('S')
	database := serve(t, func(c *net.TCPConn) {
		got := make([]byte, len(request))
		io.ReadFull(c, got)
		asked <- got
		said := byte(answer.Load())
		c.Write([]byte{said})
		if said != 'S' {
			return
		}
		s := tls.Server(c, terminating()())
		io.Copy(s, s)
		s.Close()
	})
	e := newEdge(t, &routes{secure: map[string]*relay.Route{
		"pass.example": {Service: &backend{address: database}},
		"term.example": {Service: &backend{address: serve(t, echo)}, TLS: terminating()},
		"both.example": {Service: &backend{address: database, tls: &tls.Config{InsecureSkipVerify: true}}, TLS: terminating()},
	}})
	session := func(name string) (string, error) {
		raw := e.dial(t)
		defer raw.Close()
		raw.Write(request[:3])
		raw.Write(request[3:])
		agreed := make([]byte, 1)
		if _, err := io.ReadFull(raw, agreed); err != nil || agreed[0] != 'S' {
			return "", errors.New("the client was not told to go on")
		}
		c := tls.Client(raw, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if _, err := io.WriteString(c, "startup"); err != nil {
			return "", err
		}
		c.CloseWrite()
		got, err := io.ReadAll(c)
		return string(got), err
	}
	for _, name := range []string{"pass.example", "term.example", "both.example"} {
		if got, err := session(name); err != nil || got != "startup" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if how := e.log.wait(t); how != "well" {
			t.Errorf("%s: %s", name, how)
		}
	}
	for range 2 {
		if got := <-asked; !bytes.Equal(got, request) {
			t.Errorf("the server was asked %x", got)
		}
	}
	if _, err := session("unknown.example"); err == nil {
		t.Error("a name without a router was served")
	}
	if err := <-e.refused; !strings.Contains(err.Error(), "no router") {
		t.Error(err)
	}
	answer.Store('N')
	if _, err := session("pass.example"); err == nil {
		t.Error("a server without TLS was taken for one with it")
	}
	<-asked
	if how := e.log.wait(t); how != "upstream_protocol" {
		t.Error(how)
	}
	// What is said before the answer would be taken for protected.
	early := e.dial(t)
	early.Write(append(slices.Clone(request), "SELECT"...))
	if err := <-e.refused; !strings.Contains(err.Error(), "before its request for TLS was answered") {
		t.Error(err)
	}
}

// A gibibyte goes through, whoever is slow, in as little memory as a byte.
func TestLargeAtFlatMemory(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() {
		size = 64 << 20
	}
	got := make(chan int64, 1)
	server := serve(t, func(c *net.TCPConn) {
		n, _ := io.Copy(io.Discard, c)
		got <- n
	})
	e := newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: server}}})
	c := e.dial(t)
	c.SetDeadline(time.Now().Add(time.Minute))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	chunk := make([]byte, 1<<20)
	for sent := int64(0); sent < size; sent += int64(len(chunk)) {
		if _, err := c.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	c.CloseWrite()
	if n := <-got; n != size {
		t.Errorf("%d of %d bytes arrived", n, size)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if all := after.TotalAlloc - before.TotalAlloc; all > 16<<20 {
		t.Errorf("%d bytes were allocated on the way", all)
	}
	if how := e.log.wait(t); how != "well" || e.log.last.Received.Load() != size {
		t.Errorf("%s, counted %d", how, e.log.last.Received.Load())
	}
}

// A slow reader holds its sender back: what is on the way is bounded by the sockets.
func TestSlowReader(t *testing.T) {
	release := make(chan struct{})
	const size = 64 << 20
	server := serve(t, func(c *net.TCPConn) {
		<-release
		n, _ := io.Copy(io.Discard, c)
		if n != size {
			t.Errorf("%d bytes arrived", n)
		}
	})
	e := newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: server}}})
	c := e.dial(t)
	sent := 0
	chunk := make([]byte, 256<<10)
	c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	for sent < size {
		n, err := c.Write(chunk[:min(len(chunk), size-sent)])
		sent += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if sent == size {
		t.Errorf("all %d bytes are on their way to a server that reads nothing", sent)
	}
	close(release)
	c.SetWriteDeadline(time.Now().Add(20 * time.Second))
	for sent < size {
		n, err := c.Write(chunk[:min(len(chunk), size-sent)])
		if sent += n; err != nil {
			t.Fatal(err)
		}
	}
	c.CloseWrite()
	if how := e.log.wait(t); how != "well" {
		t.Error(how)
	}
}

// Streams end while their routers change: those that have begun go on.
func TestReloadKeepsStreams(t *testing.T) {
	e := newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: serve(t, echo)}}})
	old := e.dial(t)
	io.WriteString(old, "a")
	io.ReadFull(old, make([]byte, 1))
	other := serve(t, func(c *net.TCPConn) { io.WriteString(c, "other") })
	e.routes.Store(&routes{plain: &relay.Route{Service: &backend{address: other}}})
	fresh := e.dial(t)
	if got, err := io.ReadAll(fresh); err != nil || string(got) != "other" {
		t.Errorf("a new connection gets %q, %v", got, err)
	}
	fresh.Close()
	e.log.wait(t)
	io.WriteString(old, "b")
	if got := make([]byte, 1); true {
		if _, err := io.ReadFull(old, got); err != nil || got[0] != 'b' {
			t.Errorf("the old connection gets %q, %v", got, err)
		}
	}
}
