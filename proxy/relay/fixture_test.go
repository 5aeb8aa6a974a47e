package relay_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/certtest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/relay"
	"github.com/pergola-mesh/pergola/proxy/relay/hello"
)

// routes are those of a test: by server name, and of connections without TLS.
type routes struct {
	plain  *relay.Route
	secure map[string]*relay.Route
}

func (r *routes) Early(c *exchange.Conn) *relay.Route {
	if r.Secures() {
		return nil
	}
	return r.plain
}
func (r *routes) Plain(*exchange.Conn) *relay.Route { return r.plain }
func (r *routes) Secures() bool                     { return len(r.secure) > 0 }
func (r *routes) Secure(_ *exchange.Conn, h *hello.Hello, _ bool) *relay.Route {
	return r.secure[h.ServerName]
}

// backend dials a server of the test.
type backend struct {
	address string
	delay   time.Duration
	err     error
	tls     *tls.Config // to speak TLS to it
}

func (b *backend) Connect(ctx context.Context, s *exchange.Stream) (relay.Link, error) {
	s.Attempts++
	if b.err != nil {
		return relay.Link{}, b.err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", b.address)
	if err != nil {
		return relay.Link{}, exchange.DialFailed.With(err)
	}
	if s.Begin != nil {
		if err := s.Begin(c, b.tls != nil); err != nil {
			c.Close()
			return relay.Link{}, err
		}
	}
	if b.tls != nil {
		secure := tls.Client(c, b.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			c.Close()
			return relay.Link{}, exchange.UpstreamTLS.With(err)
		}
		c = secure
	}
	delay := b.delay
	if delay == 0 {
		delay = time.Minute
	}
	return relay.Link{Conn: c, TerminationDelay: delay}, nil
}

// log keeps what became of streams.
type log struct {
	mu    sync.Mutex
	ended []string
	last  *exchange.Stream
	more  chan struct{}
}

func (l *log) Ended(s *exchange.Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what := "well"
	if s.Failed {
		what = s.Kind.Error()
	}
	l.ended, l.last = append(l.ended, what), s
	l.more <- struct{}{}
}

// wait returns how the next stream ended.
func (l *log) wait(t *testing.T) string {
	t.Helper()
	select {
	case <-l.more:
	case <-time.After(20 * time.Second):
		buf := make([]byte, 64<<10)
		t.Fatalf("the stream does not end\n%s", buf[:runtime.Stack(buf, true)])
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	what := l.ended[0]
	l.ended = l.ended[1:]
	return what
}

// edge is a listener whose connections go to a relay.
type edge struct {
	*relay.Server
	routes  atomic.Pointer[routes]
	log     *log
	ln      net.Listener
	wg      sync.WaitGroup
	refused chan error
}

func newEdge(t *testing.T, r *routes, change ...func(*relay.Server)) *edge {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &edge{log: &log{more: make(chan struct{}, 1000)}, ln: ln, refused: make(chan error, 10)}
	e.routes.Store(r)
	e.Server = &relay.Server{
		Routes: func() relay.Routes { return e.routes.Load() }, Observer: e.log,
		Handshake: 5 * time.Second, Idle: time.Minute,
	}
	for _, c := range change {
		c(e.Server)
	}
	e.wg.Go(e.accept)
	t.Cleanup(func() {
		ln.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := e.Kill(ctx); err != nil {
			t.Errorf("%d streams do not end", e.Active())
		}
		e.wg.Wait()
	})
	return e
}

func (e *edge) accept() {
	for {
		c, err := e.ln.Accept()
		if err != nil {
			return
		}
		e.wg.Go(func() {
			conn := listen.NewConn(c, nil)
			info := &exchange.Conn{EntryPoint: "test", Peer: listen.AddrPort(c.RemoteAddr()), Local: listen.AddrPort(c.LocalAddr())}
			choice := e.Accepted(info)
			if greeting := e.Greeting(); greeting != nil {
				conn.Write(greeting)
			}
			if choice == nil {
				if choice, err = e.Greeted(conn, info); choice == nil {
					if err == nil {
						err = errors.New("left to HTTP")
					}
					conn.Close()
					e.refused <- err
					return
				}
			}
			choice.Serve(conn, info, func() {})
		})
	}
}

func (e *edge) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", e.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// knock makes a connection that is refused, perhaps before the client knows that it has one.
func (e *edge) knock() {
	if c, err := net.Dial("tcp", e.ln.Addr().String()); err == nil {
		c.Close()
	}
}

// serve runs a server whose connections are handled by f, one after the other.
func serve(t *testing.T, f func(c *net.TCPConn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				c.SetDeadline(time.Now().Add(20 * time.Second))
				f(c.(*net.TCPConn))
				c.Close()
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

var certificate = sync.OnceValue(func() tls.Certificate { return certtest.SelfSigned([]string{"a.example"}) })

func terminating() func() *tls.Config {
	config := &tls.Config{Certificates: []tls.Certificate{certificate()}}
	return func() *tls.Config { return config }
}

// isReset reports whether an error is that of a connection that was reset.
func isReset(err error) bool { return err != nil && strings.Contains(err.Error(), "reset") }
