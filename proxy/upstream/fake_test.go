package upstream

import (
	"io"
	"sync"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// fakePools has a server of its own for every URL.
type fakePools struct {
	mu      sync.Mutex
	servers map[string]*fakeServer
	keys    []PoolKey
}

// fakeServer answers 200 with its URL as body, unless it is told otherwise.
type fakeServer struct {
	url string

	mu     sync.Mutex
	answer exchange.HandlerFunc
	calls  int
	bodies []string
	opened int
	closed int
}

func (p *fakePools) Pool(key PoolKey) (exchange.Handler, io.Closer) {
	s := p.server(key.URL)
	p.mu.Lock()
	p.keys = append(p.keys, key)
	p.mu.Unlock()
	s.mu.Lock()
	s.opened++
	s.mu.Unlock()
	return s, s
}

func (p *fakePools) server(url string) *fakeServer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.servers == nil {
		p.servers = map[string]*fakeServer{}
	}
	if p.servers[url] == nil {
		p.servers[url] = &fakeServer{url: url}
	}
	return p.servers[url]
}

func (s *fakeServer) Handle(x *exchange.Exchange) error {
	s.mu.Lock()
	s.calls++
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		return answer(x)
	}
	return s.respond(x, 200)
}

// respond reads the request and answers with a status.
func (s *fakeServer) respond(x *exchange.Exchange, status int) error {
	x.Record.Sent = true
	body, err := exchangetest.ReadAll(nil, x.Request.Body, 1<<20)
	if err != nil {
		return exchange.ClientAbort.With(err)
	}
	s.mu.Lock()
	s.bodies = append(s.bodies, string(body))
	s.mu.Unlock()
	x.Respond(status, "text/plain", []byte(s.url))
	return nil
}

func (s *fakeServer) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

func (s *fakeServer) set(answer exchange.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *fakeServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// isClosed says how often the pool was closed.
func (s *fakeServer) isClosed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// The ways a server can fail.
func refuse(x *exchange.Exchange) error { return exchange.DialFailed }

func reset(x *exchange.Exchange) error {
	x.Record.Sent = true
	exchangetest.ReadAll(nil, x.Request.Body, 1<<20)
	if x.Request.Body != nil {
		x.Request.Body.Close()
	}
	return exchange.UpstreamReset
}

func status(code int) exchange.HandlerFunc {
	return func(x *exchange.Exchange) error {
		x.Record.Sent = true
		exchangetest.ReadAll(nil, x.Request.Body, 1<<20)
		x.Respond(code, "", nil)
		return nil
	}
}

// bench is a registry on fake pools.
type bench struct {
	*testing.T
	*Registry
	pools *fakePools
}

func newBench(t *testing.T) *bench {
	p := &fakePools{}
	return &bench{t, NewRegistry(Options{Pools: p}), p}
}

// balancer makes a load balancer that is closed with the test.
func (b *bench) balancer(name string, c LoadBalancer) Service {
	b.Helper()
	s, err := b.LoadBalancer(name, c)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	return s
}

// states are those of a load balancer's servers.
func states(s Service) []ServerStatus { return s.(*loadBalancer).servers() }

// servers makes servers called http://a and so on, of weight 1.
func servers(names ...string) []Server {
	list := make([]Server, len(names))
	for i, n := range names {
		list[i] = Server{URL: "http://" + n, Weight: 1}
	}
	return list
}

// get sends a GET and returns the status and the server's name, as in "200 a".
func get(h exchange.Handler, parts ...any) string {
	return result(exchangetest.Do(h, exchangetest.Request("GET", "/", parts...)))
}

func result(r *exchangetest.Result) string {
	text := string([]byte{'0' + byte(r.Status/100), '0' + byte(r.Status/10%10), '0' + byte(r.Status%10)})
	if r.Status == 200 {
		text += " " + r.Body[len("http://"):]
	}
	return text
}

// gets sends n GETs and counts the results.
func gets(h exchange.Handler, n int) map[string]int {
	counts := map[string]int{}
	for range n {
		counts[get(h)]++
	}
	return counts
}
