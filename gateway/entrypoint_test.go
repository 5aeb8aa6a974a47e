package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// point is a running entry point whose handler answers with the client's address.
type point struct {
	*EntryPoint
	mu      sync.Mutex
	refused []string
	open    atomic.Int64
	hold    chan struct{} // /slow waits for it
	slow    atomic.Int64  // how many requests for /slow there were
}

func start(t *testing.T, change func(e *static.EntryPoint)) *point {
	t.Helper()
	return startWith(t, change, nil)
}

// startWith is start with other options.
func startWith(t *testing.T, change func(e *static.EntryPoint), options func(o *Options)) *point {
	t.Helper()
	p := &point{hold: make(chan struct{})}
	e := &static.EntryPoint{}
	e.SetDefaults()
	e.Address = "127.0.0.1:0"
	if change != nil {
		change(e)
	}
	handler := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		if string(x.Request.Path) == "/slow" {
			p.slow.Add(1)
			<-p.hold
		}
		x.Respond(200, "text/plain", []byte(x.Client.String()))
		return nil
	})
	o := Options{
		Global: &static.Global{}, Process: listen.NewCap(0), Logger: slog.New(slog.DiscardHandler),
		Handler:  func(string) exchange.Handler { return handler },
		Observer: func(string) exchange.Observer { return nil },
		Refused: func(_, rule string) {
			p.mu.Lock()
			p.refused = append(p.refused, rule)
			p.mu.Unlock()
		},
		Connections: func(_, _ string) func(int) { return func(delta int) { p.open.Add(int64(delta)) } },
	}
	if options != nil {
		options(&o)
	}
	var err error
	for range 10 { // the port that TCP is given may be somebody's of UDP
		if p.EntryPoint, err = NewEntryPoint("web", e, o); !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	go p.Serve()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.Stop(ctx)
		if n := p.open.Load(); n != 0 {
			t.Errorf("%d connections are still counted", n)
		}
	})
	return p
}

func (p *point) rules() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.refused...)
}

func (p *point) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// serves reports whether a new connection is served. One that is refused may be reset while it is made.
func (p *point) serves() bool {
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		return false
	}
	defer c.Close()
	_, _, err = ask(c, "", "/")
	return err == nil
}

// ask sends one request, with what may come before it, and returns status line and body.
func ask(c net.Conn, before, path string) (*http.Response, string, error) {
	fmt.Fprintf(c, "%sGET %s HTTP/1.1\r\nHost: h\r\n\r\n", before, path)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(r.Body)
	return r, string(body), err
}

func TestProxyProtocol(t *testing.T) {
	const v1 = "PROXY TCP4 203.0.113.9 192.0.2.1 5555 80\r\n"
	for name, tt := range map[string]struct {
		trusted []string
		before  string
		client  string // empty: no answer but 400 or none
		rule    string
	}{
		"trusted":             {[]string{"127.0.0.1"}, v1, "203.0.113.9", ""},
		"version 2":           {[]string{"127.0.0.0/8"}, "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x01\x02\x03\x04\x15\xb3\x00\x50", "203.0.113.9", ""},
		"local":               {[]string{"127.0.0.1"}, "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "127.0.0.1", ""},
		"missing":             {[]string{"127.0.0.1"}, "", "", "proxy_protocol"},
		"malformed":           {[]string{"127.0.0.1"}, "PROXY TCP4 x\r\n", "", "proxy_protocol"},
		"from a stranger":     {[]string{"10.0.0.1"}, v1, "", "request_line"},
		"stranger without it": {[]string{"10.0.0.1"}, "", "127.0.0.1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, func(e *static.EntryPoint) { e.ProxyProtocol = &static.ProxyProtocol{TrustedIPs: tt.trusted} })
			r, body, err := ask(p.dial(t), tt.before, "/")
			if tt.client != "" {
				if err != nil || r.StatusCode != 200 || body != tt.client {
					t.Errorf("%v %v %q", err, r, body)
				}
				return
			}
			if err == nil && r.StatusCode != 400 {
				t.Errorf("answered %s %q", r.Status, body)
			}
			waittest.Until(t, "the refusal is counted", func() bool { return len(p.rules()) == 1 })
			if got := p.rules(); got[0] != tt.rule {
				t.Errorf("refused by %q", got)
			}
		})
	}
}

// The log says what was wrong with the header: a load balancer that sends none is a common mistake.
func TestProxyProtocolThatIsMissingIsLogged(t *testing.T) {
	var said waittest.Buffer
	p := startWith(t, func(e *static.EntryPoint) { e.ProxyProtocol = &static.ProxyProtocol{TrustedIPs: []string{"127.0.0.1"}} },
		func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&said, nil)) })
	ask(p.dial(t), "", "/")
	waittest.Until(t, "the log", func() bool { return strings.Contains(said.String(), "does not begin with a PROXY protocol header") })
}

func TestConnectionCaps(t *testing.T) {
	for rule, change := range map[string]func(e *static.EntryPoint){
		"max_connections":            func(e *static.EntryPoint) { e.Limits.MaxConnections = 2 },
		"max_connections_per_client": func(e *static.EntryPoint) { e.Limits.MaxConnectionsPerClient = 2 },
	} {
		t.Run(rule, func(t *testing.T) {
			p := start(t, change)
			var kept []net.Conn
			for range 2 {
				c := p.dial(t)
				if _, _, err := ask(c, "", "/"); err != nil {
					t.Fatal(err)
				}
				kept = append(kept, c)
			}
			if p.serves() {
				t.Error("a third connection was served")
			}
			waittest.Until(t, "the refusal is counted", func() bool { return len(p.rules()) == 1 })
			if got := p.rules(); got[0] != rule {
				t.Errorf("refused by %q", got)
			}
			kept[0].Close()
			waittest.Until(t, "the place is free again", p.serves)
		})
	}
}

// Draining ends idle connections, lets what is in flight finish with Connection: close, and refuses
// nothing before the grace period for new requests is over.
func TestStopDrains(t *testing.T) {
	const accept = 300 * time.Millisecond
	p := start(t, func(e *static.EntryPoint) {
		e.Transport.LifeCycle.RequestAcceptGraceTimeout = static.Duration(accept)
		e.Transport.LifeCycle.GraceTimeOut = static.Duration(time.Minute)
	})
	idle, busy := p.dial(t), p.dial(t)
	if _, _, err := ask(idle, "", "/"); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		r    *http.Response
		body string
		err  error
	}
	slow := make(chan answer, 1)
	go func() {
		r, body, err := ask(busy, "", "/slow")
		slow <- answer{r, body, err}
	}()
	waittest.Until(t, "the request is there", func() bool { return p.slow.Load() == 1 })
	stopped := make(chan struct{})
	told := time.Now()
	go func() {
		p.Stop(context.Background())
		close(stopped)
	}()
	if served := p.serves(); !served && time.Since(told) < accept {
		t.Error("refused within the grace period")
	}
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the idle connection ended with %v", err)
	}
	waittest.Until(t, "no new connections", func() bool {
		c, err := net.Dial("tcp", p.Addr().String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case <-stopped:
		t.Error("stopped with a request in flight")
	default:
	}
	close(p.hold)
	a := <-slow
	if a.err != nil || a.r.StatusCode != 200 || !a.r.Close {
		t.Errorf("the request in flight: %v %+v", a.err, a.r)
	}
	<-stopped
}

func TestStopCutsWhatOutlivesTheGrace(t *testing.T) {
	p := start(t, func(e *static.EntryPoint) {
		e.Transport.LifeCycle.GraceTimeOut = static.Duration(100 * time.Millisecond)
	})
	c := p.dial(t)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
	io.WriteString(p.dial(t), "GET / HT") // half a head
	waittest.Until(t, "they are there", func() bool { return p.open.Load() == 2 })
	p.Stop(context.Background())
	if n := p.open.Load(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestAddressInUse(t *testing.T) {
	p := start(t, nil)
	e := &static.EntryPoint{}
	e.SetDefaults()
	e.Address = p.Addr().String()
	_, err := New(map[string]*static.EntryPoint{"other": e}, Options{
		Global: &static.Global{}, Logger: slog.New(slog.DiscardHandler),
		Handler:     func(string) exchange.Handler { return nil },
		Observer:    func(string) exchange.Observer { return nil },
		Refused:     func(_, _ string) {},
		Connections: func(_, _ string) func(int) { return func(int) {} },
	})
	if err == nil || !strings.Contains(err.Error(), "entry point other") || !strings.Contains(err.Error(), "another process listens") {
		t.Errorf("%v", err)
	}
	if errors.Unwrap(err) == nil {
		t.Error("the cause is gone")
	}
}
