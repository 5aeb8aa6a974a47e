package telemetry

import (
	"bytes"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

var update = flag.Bool("update", false, "write the metrics that come out into testdata")

// traffic makes m have something of everything.
// streamTraffic has a stream end, one fail and one go on.
func streamTraffic(m *Metrics) {
	scopes := []exchange.StreamScope{m.StreamEntryPoint("web"), m.StreamRouter("db@file", "db@file"), m.StreamService("db@file"), m.StreamEndpoint("db@file", "10.0.0.1:5432")}
	for i := range 3 {
		s := &exchange.Stream{Conn: &exchange.Conn{Shard: uint32(i)}, Protocol: "tcp", Duration: int64(20 * time.Second)}
		if i == 1 {
			s.Fail(exchange.DialFailed)
		}
		for _, scope := range scopes {
			scope.Opened(s)
			scope.Moved(s, 100, 1000)
			if i < 2 {
				scope.Closed(s)
			}
		}
	}
}

func traffic(m *Metrics) {
	scopes := []exchange.Scope{m.EntryPoint("web"), m.Router("web@file", "web@file"), m.Service("web@file"), m.Endpoint("web@file", "http://10.0.0.1:80")}
	observe := func(change func(x *exchange.Exchange)) {
		x := newExchange()
		change(x)
		Observe(x, append([]exchange.Scope{nil}, scopes...)...)
	}
	observe(func(x *exchange.Exchange) {})
	observe(func(x *exchange.Exchange) {
		x.Request.Method, x.Response.Status, x.Record.UpstreamStatus = "POST", 503, 503
		x.Record.Duration, x.Record.RequestBytes, x.Record.Attempts = int64(7*time.Second), 1000, 3
	})
	observe(func(x *exchange.Exchange) {
		x.Conn = &exchange.Conn{TLS: &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}}
	})
	observe(func(x *exchange.Exchange) {
		exchange.Rescue(x, exchange.DialFailed.With(errors.New("refused")))
		x.Record.UpstreamStatus = 0
	})
	observe(func(x *exchange.Exchange) { x.Record.Uncounted = true })
	streamTraffic(m)
	m.Connections("web", "TCP").Add(1, 3)
	m.Connections("web", "TCP").Add(2, -1)
	m.Rejected("web", "te_and_cl")
	m.SetAccessLogDropped(func() uint64 { return 4 })
	m.SetServers(func() []ServerState {
		return []ServerState{{"web@file", "http://10.0.0.1:80", true, 2}, {"web@file", "http://10.0.0.2:80", false, 0},
			{"web@file", "http://10.0.0.2:80", false, 0}}
	})
	m.CertificateOrdered("le", nil)
	m.CertificateOrdered("le", nil)
	m.CertificateOrdered("le", errors.New("refused"))
	m.SetResolvers(func() []ResolverState { return []ResolverState{{Resolver: "le", Served: 2, Missing: 1, Failing: 1}} })
	m.SetExpiries(func() []Expiry { return []Expiry{{"a.example", "7", "a.example,b.example", time.Unix(1893456000, 0)}} })
}

func TestMetricsText(t *testing.T) {
	o := all
	o.TraefikNames = true
	m := newMetrics(t, o)
	traffic(m)
	got := scrape(t, m)
	const file = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestTheRegistryAcceptsAllSeries gathers with all checks on.
func TestTheRegistryAcceptsAllSeries(t *testing.T) {
	o := all
	o.TraefikNames, o.HeaderLabels = true, map[string]string{"agent": "User-Agent"}
	m := newMetrics(t, o)
	traffic(m)
	strict := prometheus.NewPedanticRegistry()
	strict.MustRegister(m)
	if families, err := strict.Gather(); err != nil || len(families) < 40 {
		t.Errorf("%d families, %v", len(families), err)
	}
}

func TestNamesPassPrometheusLint(t *testing.T) {
	m := newMetrics(t, all)
	traffic(m)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	problems, err := promlint.New(bytes.NewReader(w.Body.Bytes())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, ourPrefix) {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestReloads(t *testing.T) {
	m := newMetrics(t, Options{})
	before := time.Now().Unix()
	m.Reloaded(2, 1)
	m.Reloaded(2, 1)
	text := scrape(t, m)
	wantLine(t, text, "pergola_config_reloads_total 2")
	wantLine(t, text, "pergola_config_problems 2")
	wantLine(t, text, "pergola_config_kept_objects 1")
	if last := m.counts.lastReload.Load(); last < before {
		t.Errorf("the last at %d, the first after %d", last, before)
	}
}

func TestRemovedObjectsLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetrics(t, Options{Routers: true, Services: true})
		present := true
		m.SetLive(func(kind Kind, name, service string) bool {
			return kind != Router || name != "a@file" || service != "b@file" || present
		})
		m.Router("a@file", "b@file").Observe(newExchange())
		m.Service("b@file").Observe(newExchange())
		has := func() bool { return strings.Contains(scrape(t, m), `router="a@file"`) }
		step := func(d time.Duration, want bool, what string) {
			t.Helper()
			time.Sleep(d)
			if got := has(); got != want {
				t.Errorf("%s: the series are there is %v", what, got)
			}
		}
		step(time.Hour, true, "long unused but configured")
		present = false
		step(DefaultLinger, true, "just removed")
		m.Router("a@file", "b@file") // it comes back before it is gone
		step(DefaultLinger, true, "asked for again")
		step(time.Second, true, "the scrape that drops it still has it")
		step(0, false, "long removed")
		m.Router("a@file", "b@file").Observe(newExchange())
		wantLine(t, scrape(t, m), `pergola_router_requests_total{code="200",method="GET",protocol="http",router="a@file",service="b@file"} 1`)
		wantLine(t, scrape(t, m), `pergola_service_requests_total{code="200",method="GET",protocol="http",service="b@file"} 1`)
	})
}

func TestScopesDoNotPileUpWhenNobodyScrapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetrics(t, Options{Services: true})
		m.SetLive(func(Kind, string, string) bool { return false })
		for i := range 3 * sweepEvery {
			if i%sweepEvery == 0 {
				time.Sleep(DefaultLinger + time.Second)
			}
			m.Service(fmt.Sprint(i))
		}
		if n := len(m.all(Service)); n > 2*sweepEvery {
			t.Errorf("%d scopes are kept", n)
		}
	})
}

func TestLabelsAreBounded(t *testing.T) {
	m := newMetrics(t, Options{EntryPoints: true})
	s := m.EntryPoint("web")
	for i := range 3000 {
		x := newExchange()
		x.Request.Method = fmt.Sprint("M", i)
		x.Response.Status = 600 + i
		s.Observe(x)
	}
	wantLine(t, scrape(t, m), `pergola_entrypoint_requests_total{code="0",entrypoint="web",method="EXTENSION_METHOD",protocol="http"} 3000`)

	// All that there can be: no more than maxCells and one are told apart, and none is lost.
	m = newMetrics(t, Options{EntryPoints: true})
	s = m.EntryPoint("web")
	n := 0
	for code := 100; code < 600; code++ {
		for _, method := range methods {
			x := newExchange()
			x.Request.Method, x.Response.Status = method, code
			s.Observe(x)
			n++
		}
	}
	series, total := 0, 0
	for line := range strings.Lines(scrape(t, m)) {
		if strings.HasPrefix(line, "pergola_entrypoint_requests_total") {
			var v int
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &v); err != nil {
				t.Fatal(err)
			}
			series, total = series+1, total+v
		}
	}
	if series > maxCells+1 || total != n {
		t.Errorf("%d series with %d requests of %d", series, total, n)
	}
}

func TestProtocols(t *testing.T) {
	for _, test := range []struct {
		change         func(x *exchange.Exchange)
		code, protocol string
	}{
		{func(x *exchange.Exchange) {}, "200", "http"},
		{func(x *exchange.Exchange) { x.Request.Upgrade, x.Response.Status = []byte("WebSocket"), 101 }, "101", "websocket"},
		{func(x *exchange.Exchange) {
			x.Request.Header.Set(exchange.Accept, "text/html, text/event-stream")
		}, "200", "sse"},
		{func(x *exchange.Exchange) { x.Request.Header.Set(exchange.Accept, "text/event-streams-not") }, "200", "http"},
		{func(x *exchange.Exchange) {
			x.Request.Header.Set(exchange.ContentType, "application/grpc+proto")
			x.Response.Trailer.Add(exchange.GRPCStatus, "14")
		}, "14", "grpc"},
		{func(x *exchange.Exchange) {
			x.Request.Header.Set(exchange.ContentType, "application/grpc")
			x.Response.Header.Add(exchange.GRPCStatus, "0")
		}, "0", "grpc"},
		{func(x *exchange.Exchange) {
			x.Request.Header.Set(exchange.ContentType, "application/grpc")
			x.Response.Trailer.Add(exchange.GRPCStatus, "99999")
		}, "2", "grpc"},
		{func(x *exchange.Exchange) {
			x.Request.Header.Set(exchange.ContentType, "application/grpc-web")
		}, "2", "grpc-web"},
		{func(x *exchange.Exchange) {
			x.Request.Header.Set(exchange.ContentType, "application/grpc-web+proto")
			x.Response.Ended = 1 + 7
		}, "7", "grpc-web"},
	} {
		m := newMetrics(t, Options{EntryPoints: true})
		x := newExchange()
		test.change(x)
		m.EntryPoint("web").Observe(x)
		wantLine(t, scrape(t, m), fmt.Sprintf(`pergola_entrypoint_requests_total{code=%q,entrypoint="web",method="GET",protocol=%q} 1`, test.code, test.protocol))
	}
}

func TestHeaderLabels(t *testing.T) {
	m := newMetrics(t, Options{EntryPoints: true, HeaderLabels: map[string]string{"agent": "User-Agent", "a_tenant": "X-Tenant"}})
	s := m.EntryPoint("web")
	x := newExchange()
	s.Observe(x)
	s.Observe(x)
	x.Request.Header.Add(exchange.NewName("X-Tenant"), "\"t\"")
	s.Observe(x)
	x.Request.Header.Set(exchange.NewName("X-Tenant"), strings.Repeat("x", maxHeaderValue+1))
	s.Observe(x)
	text := scrape(t, m)
	const line = `pergola_entrypoint_requests_total{a_tenant="%s",agent="curl/8",code="200",entrypoint="web",method="GET",protocol="http"} %d`
	wantLine(t, text, fmt.Sprintf(line, "", 2))
	wantLine(t, text, fmt.Sprintf(line, `\"t\"`, 1))
	wantLine(t, text, fmt.Sprintf(line, "other", 1))
	for i := range 2 * maxHeaderValues {
		x.Request.Header.Set(exchange.NewName("X-Tenant"), fmt.Sprint(i))
		s.Observe(x)
	}
	text = scrape(t, m)
	if n := strings.Count(text, "pergola_entrypoint_requests_total{"); n > maxHeaderValues+1 {
		t.Errorf("%d series", n)
	}
	if !strings.Contains(text, `a_tenant="other",agent="other"`) {
		t.Error("what is too much is not counted")
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, o := range []Options{
		{Buckets: []float64{1, 1}}, {Buckets: []float64{2, 1}},
		{HeaderLabels: map[string]string{"code": "X"}}, {HeaderLabels: map[string]string{"router": "X"}},
		{HeaderLabels: map[string]string{"a-b": "X"}}, {HeaderLabels: map[string]string{"__a": "X"}},
		{HeaderLabels: map[string]string{"a": ""}},
	} {
		if _, err := NewMetrics(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestObservingAllocatesNothing(t *testing.T) {
	m := newMetrics(t, Options{EntryPoints: true, Routers: true, Services: true, Servers: true, HeaderLabels: map[string]string{"agent": "User-Agent"}})
	scopes := []exchange.Scope{m.EntryPoint("web"), m.Router("a", "b"), m.Service("b"), m.Endpoint("b", "u")}
	x := newExchange()
	x.Conn.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}
	if n := testing.AllocsPerRun(100, func() { Observe(x, scopes...) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestObserveAndScrapeTogether(t *testing.T) {
	m := newMetrics(t, all)
	m.SetLive(func(Kind, string, string) bool { return true })
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 1000 {
				x := newExchange()
				x.Conn.Shard, x.Response.Status = uint32(i), 200+j%50
				Observe(x, m.EntryPoint("web"), m.Router(fmt.Sprint(j%10), "s"))
				m.EntryPoint("web").Observe(x)
			}
		})
	}
	for range 20 {
		scrape(t, m)
	}
	wg.Wait()
	wantLine(t, scrape(t, m), `pergola_entrypoint_requests_total{code="207",entrypoint="web",method="GET",protocol="http"} 160`)
}
