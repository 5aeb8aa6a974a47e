package upstream

import (
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestLoadBalancerSharesByWeight(t *testing.T) {
	b := newBench(t)
	s := b.balancer("web@file", LoadBalancer{Servers: []Server{
		{URL: "http://a", Weight: 3}, {URL: "http://b", Weight: 1}, {URL: "http://c"}, {URL: "http://d", Weight: 1, Fenced: true},
		{URL: "http://b", Weight: 1},
	}})
	if got := gets(s, 50); !maps.Equal(got, map[string]int{"200 a": 30, "200 b": 20}) {
		t.Errorf("got %v", got)
	}
}

func TestRecordOfAnExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Scopes = fakeScopes{}
		s := b.balancer("web@file", LoadBalancer{Servers: servers("a")})
		b.pools.server("http://a").set(func(x *exchange.Exchange) error {
			time.Sleep(time.Second)
			return status(404)(x)
		})
		x := exchangetest.Request("GET", "/")
		if err := s.Handle(x); err != nil {
			t.Fatal(err)
		}
		r := &x.Record
		if r.Service.Name() != "web@file" || r.Endpoint.Name() != "web@file http://a" || r.Attempts != 1 ||
			r.UpstreamStatus != 404 || r.UpstreamDuration != int64(time.Second) {
			t.Errorf("%+v", r)
		}
		if n := states(s)[0].InFlight; n != 1 {
			t.Errorf("%d in flight before the response is over", n)
		}
		x.Response.Close()
		x.Response.Close()
		if n := states(s)[0].InFlight; n != 0 {
			t.Errorf("%d in flight after the response is over", n)
		}
	})
}

// A panic is the codec's to handle; the server is not taken for busy afterwards.
func TestPanicLeavesNothingInFlight(t *testing.T) {
	b := newBench(t)
	s := b.balancer("web@file", LoadBalancer{Servers: servers("a")})
	b.pools.server("http://a").set(func(*exchange.Exchange) error { panic("fault") })
	func() {
		defer func() { recover() }()
		s.Handle(exchangetest.Request("GET", "/"))
	}()
	if n := states(s)[0].InFlight; n != 0 {
		t.Errorf("%d in flight", n)
	}
}

type fakeScopes struct{}

type fakeScope string

func (fakeScopes) Service(name string) exchange.Scope          { return fakeScope(name) }
func (fakeScopes) Endpoint(service, url string) exchange.Scope { return fakeScope(service + " " + url) }

func (s fakeScope) Name() string             { return string(s) }
func (fakeScope) Observe(*exchange.Exchange) {}

func TestNoServer(t *testing.T) {
	b := newBench(t)
	s := b.balancer("web@file", LoadBalancer{})
	r := exchangetest.Do(s, exchangetest.Request("GET", "/"))
	if r.Status != 503 || !errors.Is(r.Err, exchange.NoEndpoint) || !strings.Contains(r.Err.Error(), "web@file") {
		t.Errorf("%d %v", r.Status, r.Err)
	}
}

func TestWrongConfigurations(t *testing.T) {
	b := newBench(t)
	for want, c := range map[string]LoadBalancer{
		`strategy "rr" is not known`:                   {Strategy: "rr"},
		`server 2: url "ftp://x": the`:                 {Servers: []Server{{URL: "http://a"}, {URL: "ftp://x"}}},
		`url "http://:80" has no host`:                 {Servers: []Server{{URL: "http://:80"}}},
		`server 2: url "http://a:0": the port must be`: {Servers: []Server{{URL: "ftp://x"}, {URL: "http://a:0"}}}, // all of them
		`url "http://a:65536": the port must be`:       {Servers: []Server{{URL: "http://a:65536"}}},
		`url "127.0.0.1:80" has no scheme: it is scheme://host:port, such as http://127.0.0.1:80`: {Servers: []Server{{URL: "127.0.0.1:80"}}},
		`url "a.example" has no scheme`:          {Servers: []Server{{URL: "a.example"}}},
		`url is empty`:                           {Servers: []Server{{}}},
		`url invalid character " " in host name`: {Servers: []Server{{URL: "http://u:secret@a b"}}},
		`server 1: weight is -1`:                 {Servers: []Server{{URL: "http://a", Weight: -1}}},
		`port is 65536`:                          {HealthCheck: &HealthCheck{Port: 65536}},
		`status is 9`:                            {HealthCheck: &HealthCheck{Status: 9}},
		`headers: "A B" cannot be sent`:          {HealthCheck: &HealthCheck{Headers: map[string]string{"A B": "c"}}},
		`headers: "A" cannot be sent`:            {HealthCheck: &HealthCheck{Headers: map[string]string{"A": "b\nc"}}},
		`credentials in the URL`:                 {Servers: []Server{{URL: "http://u:secret@a"}}},
		`sameSite "some" is not`:                 {Sticky: &Cookie{SameSite: "some"}},
		`sticky cookie: http: invalid`:           {Sticky: &Cookie{Domain: "a b"}},
		`use http or grpc`:                       {HealthCheck: &HealthCheck{Mode: "tcp"}},
		`mode "tcp" is not known`:                {HealthCheck: &HealthCheck{Mode: "tcp"}},
		`scheme "ftp" is not known`:              {HealthCheck: &HealthCheck{Scheme: "ftp"}},
		`path "//x/y" names a server`:            {HealthCheck: &HealthCheck{Path: "//x/y"}},
		`invalid method`:                         {HealthCheck: &HealthCheck{Method: "GE T"}},
		`interval, unhealthyInterval`:            {HealthCheck: &HealthCheck{Timeout: -1}},
		`failureWindow must be`:                  {PassiveHealthCheck: &PassiveHealthCheck{MaxFailedAttempts: 1}},
		`maxFailedAttempts must`:                 {PassiveHealthCheck: &PassiveHealthCheck{FailureWindow: 1}},
		`rootCAs[0]: holds no`:                   {Transport: &Transport{TLS: TLS{RootCAs: []string{"?"}}}},
	} {
		c.Servers = append(c.Servers, Server{URL: "http://a", Weight: 1})
		_, err := b.LoadBalancer("web@file", c)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "service web@file: ") {
			t.Errorf("got %v, want %q", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%v tells a password", err)
		}
	}
	if len(b.pools.keys) != 0 || len(b.endpoints) != 0 {
		t.Errorf("refused configurations left %d pools and %d services", len(b.pools.keys), len(b.endpoints))
	}
}

// No allocation where there is no sticky cookie.
func TestHandleAllocatesNothing(t *testing.T) {
	for _, strategy := range []string{"wrr", "p2c", "hrw", "leasttime", "leastconn", "random"} {
		s, x := noopService(t, LoadBalancer{Servers: servers("a", "b", "c"), Strategy: strategy})
		for _, method := range []string{"GET", "POST"} {
			x.Request.Method = method
			if n := testing.AllocsPerRun(100, func() { s.Handle(x); x.Response.Close() }); n != 0 {
				t.Errorf("%s, %s: %v allocations a request", strategy, method, n)
			}
		}
	}
}

func noopService(t testing.TB, c LoadBalancer) (Service, *exchange.Exchange) {
	r := NewRegistry(Options{Pools: noopPools{}})
	s, err := r.LoadBalancer("web@file", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, exchangetest.Request("GET", "/", "Cookie: a=b")
}

func BenchmarkHandle(b *testing.B) {
	for name, c := range map[string]LoadBalancer{
		"wrr":    {Servers: servers("a", "b", "c")},
		"p2c":    {Servers: servers("a", "b", "c"), Strategy: "p2c"},
		"one":    {Servers: servers("a")},
		"sticky": {Servers: servers("a", "b", "c"), Sticky: &Cookie{}},
	} {
		b.Run(name, func(b *testing.B) {
			s, x := noopService(b, c)
			b.ReportAllocs()
			for b.Loop() {
				s.Handle(x)
				x.Response.Close()
				x.Response.Header.Reset(nil)
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	r := NewRegistry(Options{Pools: noopPools{}})
	c := LoadBalancer{Servers: servers("a", "b", "c")}
	b.ReportAllocs()
	for b.Loop() {
		s, err := r.LoadBalancer("web@file", c)
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

// Requests, failing servers, health changes and reloads at once: every request is answered by a server
// that is up, and nothing is in flight at the end.
func TestStress(t *testing.T) {
	b := newBench(t)
	config := func(i int) LoadBalancer {
		names := []string{"a", "b", "c", "d"}
		return LoadBalancer{Servers: servers(names[:3+i%2]...), Strategy: []string{"wrr", "p2c", "leasttime"}[i%3]}
	}
	b.pools.server("http://b").set(refuse)
	var current sync.Map
	first, err := b.LoadBalancer("web@file", config(0))
	if err != nil {
		t.Fatal(err)
	}
	current.Store("", first)
	var clients, reloads sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 1500 {
				s, _ := current.Load("")
				if r := get(s.(Service)); r != "200 a" && r != "200 c" && r != "200 d" {
					t.Errorf("got %s", r)
				}
			}
		})
	}
	reloads.Go(func() {
		for i := range 200 {
			s, err := b.LoadBalancer("web@file", config(i))
			if err != nil {
				t.Error(err)
				return
			}
			old, _ := current.Swap("", s)
			old.(Service).Close()
		}
	})
	clients.Wait()
	reloads.Wait()
	last, _ := current.Load("")
	for _, s := range states(last.(Service)) {
		if s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	}
	last.(Service).Close()
	if len(b.endpoints) != 0 {
		t.Errorf("left over: %v", b.endpoints)
	}
	for url, s := range b.pools.servers {
		if s.opened != s.closed {
			t.Errorf("%s: %d pools opened, %d closed", url, s.opened, s.closed)
		}
	}
}
