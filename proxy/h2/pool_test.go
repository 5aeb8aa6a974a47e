//lint:file-ignore SA1019 x/net/http2 is here because it is an engine of its own, not a way into net/http

package h2

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// reference is a server of HTTP/2 that is not ours.
type reference struct {
	addr  string
	conns atomic.Int32
}

// newReference serves h on plaintext by prior knowledge.
func newReference(t *testing.T, h http.HandlerFunc, config *http2.Server) *reference {
	t.Helper()
	checkLeaks(t)
	r := &reference{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	var all sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			r.conns.Add(1)
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			all.Go(func() { config.ServeConn(c, &http2.ServeConnOpts{Handler: h}) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return r
}

func (r *reference) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", r.addr)
}

func newTestPool(t *testing.T, config PoolConfig) *Pool {
	t.Helper()
	config.Scheme = "http"
	if config.DefaultHost == nil {
		config.DefaultHost = []byte("default.test")
	}
	p := NewPool(config)
	t.Cleanup(func() { p.Close() })
	return p
}

// ask has p answer x, and reads the whole of the answer.
func ask(p *Pool, x *exchange.Exchange) (string, error) {
	defer x.Free()
	defer x.Response.Close()
	if err := p.Handle(x); err != nil {
		return "", err
	}
	body, err := exchangetest.ReadAll(nil, x.Response.Body, 1<<30)
	return string(body), err
}

func describe(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Trailer", "X-Sum")
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s %s %q %q %s %v", r.Method, r.Host, r.URL, r.Header.Get("X-Test"), r.Header["Cookie"], r.Header.Get("Te"), body, r.Trailer)
	w.Header().Set("X-Sum", fmt.Sprint(len(body)))
}

func TestPoolAsks(t *testing.T) {
	s := newReference(t, describe, &http2.Server{})
	p := newTestPool(t, PoolConfig{Dial: s.dial, Prefix: []byte("/base")})
	long := strings.Repeat("0123456789", 100_000)
	trailer := func(x *exchange.Exchange) { x.Request.Trailer.Add(exchange.NewName("X-End"), "yes") }
	for _, c := range []struct {
		x    *exchange.Exchange
		want string
	}{
		{exchangetest.Request("GET", "http://a.test/p?q=1", "X-Test: t", "Cookie: a=b"), `GET a.test /base/p?q=1 t ["a=b"] ""  map[]`},
		{exchangetest.Request("GET", "http://a.test/p?"), `GET a.test /base/p?  [] ""  map[]`},
		{exchangetest.Request("DELETE", "/"), `DELETE example.com /base/  [] ""  map[]`},
		{exchangetest.Request("POST", "/", []byte("body")), `POST example.com /base/  [] "" body map[]`},
		{exchangetest.Request("POST", "/", exchangetest.Pieces("bo", "", "dy"), "Content-Type: application/grpc+proto"), `POST example.com /base/  [] "trailers" body map[]`},
		{exchangetest.Request("POST", "/", exchangetest.Pieces("bo", "dy"), "Trailer: X-End", trailer), `POST example.com /base/  [] "" body map[X-End:[yes]]`},
		{exchangetest.Request("POST", "/", []byte("body"), "Upgrade: tcp"), `POST example.com /base/  [] "" body map[]`},
		{exchangetest.Request("PUT", "/", []byte(long)), `PUT example.com /base/  [] "" ` + long + ` map[]`},
		{exchangetest.Request("PUT", "/", exchangetest.Pieces(long, long)), `PUT example.com /base/  [] "" ` + long + long + ` map[]`},
	} {
		got, err := ask(p, c.x)
		if err != nil || got != c.want {
			t.Fatalf("%.100s, want %.100s: %v", got, c.want, err)
		}
		if n := c.x.Record.UpstreamBytes; n != int64(len(got)) {
			t.Errorf("%d bytes are counted of %d", n, len(got))
		}
	}
	x := exchangetest.Request("POST", "/", []byte("four"))
	defer x.Free()
	if err := p.Handle(x); err != nil {
		t.Fatal(err)
	}
	if x.Response.Status != 200 || x.Response.Proto != exchange.HTTP2 || string(x.Response.Header.Get(exchange.ContentType)) != "text/plain" {
		t.Fatal(x.Response.Status)
	}
	if _, err := exchangetest.ReadAll(nil, x.Response.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	if got := x.Response.Trailer.Get(exchange.NewName("X-Sum")); string(got) != "4" {
		t.Fatalf("trailer %q", got)
	}
	x.Response.Close()
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestPoolStatuses(t *testing.T) {
	s := newReference(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscanf(r.URL.Path, "/%d", &status)
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", "5")
		}
		w.WriteHeader(status)
		if r.Method != "HEAD" && r.URL.Query().Has("length") {
			io.WriteString(w, "hello")
		}
	}, &http2.Server{})
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	for _, c := range []struct {
		method, target string
		status         int
		length         int64
	}{
		{"GET", "/200", 200, 0}, {"GET", "/204", 204, -1}, {"GET", "/304", 304, -1}, {"HEAD", "/200?length", 200, 5},
		{"GET", "/200?length", 200, 5}, {"GET", "/404", 404, 0},
	} {
		x := exchangetest.Request(c.method, c.target)
		if err := p.Handle(x); err != nil || x.Response.Status != c.status || x.Response.Length != c.length {
			t.Errorf("%s %s: %d %d %v", c.method, c.target, x.Response.Status, x.Response.Length, err)
		}
		x.Response.Close()
		x.Free()
	}
}

// informer notes interim responses.
type informer struct{ got []string }

// Inform is exchange.Informer.
func (i *informer) Inform(status int, h *exchange.Header) error {
	i.got = append(i.got, fmt.Sprintf("%d %s", status, h.Get(exchange.NewName("Link"))))
	return nil
}

func TestPoolInterim(t *testing.T) {
	s := newReference(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a>")
		w.WriteHeader(103)
		w.Header().Set("Link", "</b>")
		w.WriteHeader(103)
		w.WriteHeader(200)
		io.WriteString(w, "done")
	}, &http2.Server{})
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	x := exchangetest.Request("GET", "/")
	i := &informer{}
	x.Informer = i
	if got, err := ask(p, x); err != nil || got != "done" || fmt.Sprint(i.got) != "[103 </a> 103 </b>]" {
		t.Fatalf("%q %v %v", got, err, i.got)
	}
}

// TestPoolBothWays: a server that answers while it is asked is heard while it is told.
func TestPoolBothWays(t *testing.T) {
	s := newReference(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			if err != nil {
				return
			}
			w.Write(bytes.ToUpper(buf[:n]))
			w.(http.Flusher).Flush()
		}
	}, &http2.Server{})
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	pipe := newPipe()
	x := exchangetest.Request("POST", "/", exchange.Body(pipe))
	if err := p.Handle(x); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		word := fmt.Sprintf("word%d", i)
		pipe.in <- []byte(word)
		got := ""
		for len(got) < len(word) {
			p, err := x.Response.Body.Next()
			if err != nil {
				t.Fatal(err)
			}
			got += string(p)
		}
		if got != strings.ToUpper(word) {
			t.Fatal(got)
		}
	}
	close(pipe.in)
	if rest, err := exchangetest.ReadAll(nil, x.Response.Body, 1000); err != nil || len(rest) > 0 {
		t.Fatal(string(rest), err)
	}
	x.Response.Close()
	x.Free()
}

// pipe is a body whose pieces come one by one.
type pipe struct {
	in   chan []byte
	gone chan struct{}
	once sync.Once
}

func newPipe() *pipe { return &pipe{in: make(chan []byte), gone: make(chan struct{})} }

// Next is exchange.Body.
func (p *pipe) Next() ([]byte, error) {
	select {
	case b, ok := <-p.in:
		if !ok {
			return nil, io.EOF
		}
		return b, nil
	case <-p.gone:
		return nil, io.ErrClosedPipe
	}
}

// Close is exchange.Body.
func (p *pipe) Close() error {
	p.once.Do(func() { close(p.gone) })
	return nil
}

// TestPoolPushesBack: a server is not let send what nobody takes.
func TestPoolPushesBack(t *testing.T) {
	var sent atomic.Int64
	s := newReference(t, func(w http.ResponseWriter, r *http.Request) {
		piece := make([]byte, 8<<10)
		for range 1000 {
			if _, err := w.Write(piece); err != nil {
				return
			}
			sent.Add(int64(len(piece)))
		}
	}, &http2.Server{})
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	x := exchangetest.Request("GET", "/slow")
	if err := p.Handle(x); err != nil {
		t.Fatal(err)
	}
	// Another is not held up by the one that takes nothing.
	y := exchangetest.Request("GET", "/fast")
	if got, err := ask(p, y); err != nil || len(got) != 8000<<10 {
		t.Fatal(len(got), err)
	}
	u := (*p.conns.Load())[0]
	waittest.Until(t, "the window is used up", func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.streams[1] != nil && u.streams[1].body.size == upStreamWindow
	})
	if n := sent.Load() - 8000<<10; n > upStreamWindow+64<<10 {
		t.Errorf("%d bytes were sent to nobody", n)
	}
	body, err := exchangetest.ReadAll(nil, x.Response.Body, 1<<30)
	if err != nil || len(body) != 8000<<10 {
		t.Fatal(len(body), err)
	}
	x.Response.Close()
	x.Free()
}

// TestPoolCancel: the server learns that the client has gone, before and after the head.
func TestPoolCancel(t *testing.T) {
	gone := make(chan struct{}, 10)
	begun := make(chan struct{}, 10)
	s := newReference(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/head" {
			w.(http.Flusher).Flush()
		}
		begun <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	}, &http2.Server{})
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	x := exchangetest.Request("GET", "/")
	go func() {
		<-begun
		x.Life.Cancel(exchange.ClientAbort)
	}()
	if _, err := ask(p, x); exchange.KindOf(err) != exchange.ClientAbort {
		t.Fatal(err)
	}
	<-gone
	x = exchangetest.Request("GET", "/head")
	if err := p.Handle(x); err != nil {
		t.Fatal(err)
	}
	<-begun
	go x.Life.Cancel(exchange.ClientAbort)
	if _, err := x.Response.Body.Next(); exchange.KindOf(err) != exchange.ClientAbort {
		t.Fatal(err)
	}
	x.Response.Close()
	x.Free()
	<-gone
	// Who gives the response up early is heard of too.
	x = exchangetest.Request("GET", "/head")
	if err := p.Handle(x); err != nil {
		t.Fatal(err)
	}
	<-begun
	x.Response.Close()
	x.Free()
	<-gone
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestPoolSpreads: more requests than a connection takes go over several, within MaxConns.
func TestPoolSpreads(t *testing.T) {
	release := make(chan struct{})
	var inside atomic.Int32
	s := newReference(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			inside.Add(1)
			<-release
		}
	}, &http2.Server{MaxConcurrentStreams: 5})
	p := newTestPool(t, PoolConfig{Dial: s.dial, MaxConns: 4})
	var all sync.WaitGroup
	for i := range 20 {
		if i%5 == 0 {
			if _, err := ask(p, exchangetest.Request("GET", "/")); err != nil { // its settings are known then
				t.Fatal(err)
			}
		}
		all.Go(func() {
			if _, err := ask(p, exchangetest.Request("GET", "/wait")); err != nil {
				t.Error(err)
			}
		})
		waittest.Until(t, "the request is there", func() bool { return int(inside.Load()) == i+1 })
	}
	if _, err := ask(p, exchangetest.Request("GET", "/")); exchange.KindOf(err) != exchange.Overloaded {
		t.Error(err)
	}
	if n := s.conns.Load(); n != 4 {
		t.Errorf("%d connections", n)
	}
	close(release)
	all.Wait()
}

func TestPoolTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(describe))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	config := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"h2"}
	d := &tls.Dialer{Config: config}
	p := newTestPool(t, PoolConfig{Dial: func(ctx context.Context) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", s.Listener.Addr().String())
	}})
	long := strings.Repeat("x", 1<<20)
	got, err := ask(p, exchangetest.Request("POST", "/", exchangetest.Pieces(long, long)))
	if err != nil || !strings.Contains(got, long+long) {
		t.Fatal(len(got), err)
	}
}

func TestPoolDialFails(t *testing.T) {
	refused := errors.New("no")
	p := newTestPool(t, PoolConfig{Dial: func(context.Context) (net.Conn, error) { return nil, refused }})
	x := exchangetest.Request("GET", "/")
	if _, err := ask(p, x); exchange.KindOf(err) != exchange.DialFailed || !errors.Is(err, refused) || x.Record.Sent {
		t.Fatal(err)
	}
	p = newTestPool(t, PoolConfig{DialTimeout: time.Millisecond, Dial: func(ctx context.Context) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	if _, err := ask(p, exchangetest.Request("GET", "/")); exchange.KindOf(err) != exchange.DialTimeout {
		t.Fatal(err)
	}
}
