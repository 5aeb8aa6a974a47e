package gateway

import (
	"math"
	"reflect"
	"testing"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestInternalRouters(t *testing.T) {
	web, secure := &static.EntryPoint{Address: ":80"}, &static.EntryPoint{Address: "[::]:8443"}
	web.HTTP.Redirections = &static.Redirections{EntryPoint: &static.RedirectEntryPoint{To: "secure", Scheme: "https", Permanent: true, Priority: 7}}
	c := &static.Configuration{
		EntryPoints: map[string]*static.EntryPoint{"web": web, "secure": secure, "dns": {Address: ":53/udp", HTTP: web.HTTP}},
		API:         &static.API{BasePath: "/base/", Insecure: true, Dashboard: true, Debug: true},
		Ping:        &static.Ping{EntryPoint: "web"},
		Metrics:     &static.Metrics{Prometheus: &static.Prometheus{EntryPoint: "secure"}},
	}
	h := InternalRouters(c).HTTP
	for name, want := range map[string][3]string{
		"api":           {"traefik", "PathPrefix(`/base/api`)", "api@internal"},
		"debug":         {"traefik", "PathPrefix(`/base/debug`)", "api@internal"},
		"dashboard":     {"traefik", "PathPrefix(`/base/`)", "dashboard@internal"},
		"ping":          {"web", "PathPrefix(`/ping`)", "ping@internal"},
		"prometheus":    {"secure", "PathPrefix(`/metrics`)", "prometheus@internal"},
		"web-to-secure": {"web", "HostRegexp(`^.+$`)", "noop@internal"},
	} {
		r := h.Routers[name]
		if r == nil || len(r.EntryPoints) != 1 || [3]string{r.EntryPoints[0], r.Rule, r.Service} != want {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if len(h.Routers) != 6 || h.Routers["api"].Priority != math.MaxInt-1 || h.Routers["ping"].Priority != math.MaxInt || h.Routers["web-to-secure"].Priority != 7 {
		t.Errorf("%d routers", len(h.Routers))
	}
	m := h.Middlewares["redirect-web-to-secure"]
	if m == nil || m.Kind != "redirectScheme" || !reflect.DeepEqual(m.Config, map[string]any{"scheme": "https", "port": "8443", "permanent": "true"}) {
		t.Errorf("%+v", m)
	}
	if got := InternalRouters(&static.Configuration{}).HTTP; len(got.Routers)+len(got.Middlewares) != 0 {
		t.Errorf("routers nobody asked for: %v", got.Routers)
	}
}

func TestPing(t *testing.T) {
	p := &Ping{Terminating: 503}
	for _, want := range []int{200, 503} {
		if got := exchangetest.Do(exchange.HandlerFunc(p.Handle), exchangetest.Request("GET", "/ping")).Status; got != want {
			t.Errorf("%d, want %d", got, want)
		}
		p.Drain()
	}
}
