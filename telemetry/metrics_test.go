package telemetry

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// all counts everything there is to count.
var all = Options{EntryPoints: true, Routers: true, Services: true, Servers: true}

func newMetrics(t testing.TB, o Options) *Metrics {
	t.Helper()
	m, err := NewMetrics(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// newExchange is a GET answered by 200 in 20 ms.
func newExchange() *exchange.Exchange {
	x := &exchange.Exchange{}
	x.Reset(&exchange.Conn{EntryPoint: "web"}, nil, nil)
	x.Request.Method, x.Request.Proto = "GET", exchange.HTTP11
	x.Request.Header.Add(exchange.Accept, "*/*")
	x.Request.Header.Add(exchange.UserAgent, "curl/8")
	x.Response.Status = 200
	x.Record.Duration = int64(20 * time.Millisecond)
	x.Record.UpstreamStatus = 200
	x.Record.UpstreamDuration = int64(19 * time.Millisecond)
	x.Record.Attempts = 1
	x.Record.ResponseBytes = 128
	return x
}

// scrape returns the gateway's own series, one a line, without comments.
func scrape(t testing.TB, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	var b strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, ourPrefix) || strings.HasPrefix(line, traefikPrefix) {
			b.WriteString(line)
		}
	}
	return b.String()
}

func wantLine(t *testing.T, text, line string) {
	t.Helper()
	if !strings.Contains(text, line+"\n") {
		t.Errorf("no line %q in\n%s", line, text)
	}
}

func TestScopesAreTheSameAcrossReloads(t *testing.T) {
	m := newMetrics(t, all)
	if m.Router("a@file", "b@file") != m.Router("a@file", "b@file") {
		t.Error("two scopes for one router")
	}
	if m.Router("a@file", "b@file") == m.Router("a@file", "c@file") {
		t.Error("one scope for a router with two services")
	}
	if n := m.Endpoint("b@file", "http://1:80").Name(); n != "http://1:80" {
		t.Errorf("the server is called %q", n)
	}
}

func TestUncountedScopesHaveNames(t *testing.T) {
	m := newMetrics(t, Options{})
	s := m.Router("a@file", "b@file")
	s.Observe(newExchange())
	if s.Name() != "a@file" || strings.Contains(scrape(t, m), "router") {
		t.Errorf("%q: %s", s.Name(), scrape(t, m))
	}
}

func BenchmarkObserveFourScopes(b *testing.B) {
	m := newMetrics(b, all)
	entryPoint, router, service, server := m.EntryPoint("web"), m.Router("a@file", "b@file"), m.Service("b@file"), m.Endpoint("b@file", "http://1:80")
	x := newExchange()
	b.ReportAllocs()
	for b.Loop() {
		Observe(x, entryPoint, router, service, server)
	}
}
