package snapshot

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// pools are connections to servers that answer with the URL they were asked for. They count what is open.
type pools struct {
	mu   sync.Mutex
	open map[string]int
}

func (p *pools) Pool(key upstream.PoolKey) (exchange.Handler, io.Closer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[key.URL]++
	return exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Record.Sent = true
		x.Respond(200, "text/plain", fmt.Appendf(nil, "%s%s", key.URL, x.Request.Path))
		return nil
	}), &pool{p, key.URL}
}

// probes find every server well, whatever way there is from this machine to its address.
func (p *pools) probes(*upstream.Transport, bool) (http.RoundTripper, error) { return well{}, nil }

type well struct{}

func (well) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{Status: "200 OK", StatusCode: 200, Body: http.NoBody, Request: r}, nil
}

type pool struct {
	pools *pools
	url   string
}

func (p *pool) Close() error {
	p.pools.mu.Lock()
	defer p.pools.mu.Unlock()
	if p.pools.open[p.url]--; p.pools.open[p.url] == 0 {
		delete(p.pools.open, p.url)
	}
	return nil
}

// list is what is open.
func (p *pools) list() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.open))
}

// routerScopes name routers.
type routerScopes struct{}

type routerScope struct{ name, service string }

func (routerScopes) Router(name, service string) exchange.Scope { return &routerScope{name, service} }
func (s *routerScope) Name() string                             { return s.name }
func (s *routerScope) Observe(*exchange.Exchange)               {}

// said answers with a text.
func said(text string) exchange.Handler {
	return exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Respond(200, "text/plain", []byte(text))
		return nil
	})
}

// fixture is a builder with entry points, its live snapshot and servers that are not there.
type fixture struct {
	options Options
	builder *Builder
	live    *Live
	report  Report
	pools   *pools
	files   map[string]string
}

// entryPoint makes an entry point as its defaults have it.
func entryPoint(middlewares ...string) *static.EntryPoint {
	e := &static.EntryPoint{Address: ":80"}
	e.SetDefaults()
	e.HTTP.Middlewares = middlewares
	return e
}

func newFixture(t testing.TB, change ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{pools: &pools{open: map[string]int{}}, files: map[string]string{}}
	f.options = Options{
		EntryPoints: map[string]*static.EntryPoint{"web": entryPoint(), "traefik": entryPoint()},
		Services:    map[string]exchange.Handler{"api": said("the api")},
		Upstreams:   upstream.NewRegistry(upstream.Options{Pools: f.pools, Probes: f.pools.probes}),
		Routers:     routerScopes{},
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := f.files[path]; ok {
				return []byte(text), nil
			}
			return nil, fmt.Errorf("open %s: no such file or directory", path)
		},
	}
	for _, c := range change {
		c(&f.options)
	}
	f.builder, f.report = NewBuilder(f.options)
	f.live = NewLive(f.builder.Snapshot())
	return f
}

// apply puts an update in force.
func (f *fixture) apply(u dynamic.Update) *Snapshot {
	var s *Snapshot
	s, f.report = f.builder.Apply(u)
	f.live.Swap(s)
	return s
}

// load puts a text in force as all that the provider file says.
func (f *fixture) load(t testing.TB, text string) *Snapshot {
	t.Helper()
	return f.apply(decodeUpdate(t, "file", "file.yaml", text))
}

func decodeUpdate(t testing.TB, provider, source, text string) dynamic.Update {
	t.Helper()
	format, ok := load.FormatOf(source)
	if !ok {
		t.Fatalf("%s: unknown format", source)
	}
	d := new(load.Objects).Decode(source, []byte(text), format)
	return dynamic.Update{Provider: provider, Config: d.Config, Places: d.Places, Problems: d.Problems, Salvaged: d.Salvaged}
}

// ask sends a request through an entry point and tells what became of it.
func ask(h exchange.Handler, method, url string) string {
	return tell(h, exchangetest.Request(method, url))
}

// tell is ask of a request that was made.
func tell(h exchange.Handler, x *exchange.Exchange) string {
	r := exchangetest.Do(h, x)
	router := "no router"
	if x.Record.Router != nil {
		router = x.Record.Router.Name()
	}
	switch r := &x.Record; {
	case r.Unlogged && r.Uncounted:
		router += " (silent)"
	case r.Unlogged:
		router += " (not logged)"
	case r.Uncounted:
		router += " (not counted)"
	}
	answer := strings.TrimSpace(r.Body)
	if r.Err != nil {
		answer = strings.ReplaceAll(r.Err.Error(), "\n", "; ")
	}
	return fmt.Sprintf("%d, %s, %s", r.Status, router, answer)
}

// dump is a view as text.
func dump(v *View) string {
	var out strings.Builder
	object := func(kind, name string, s State, more ...any) {
		fmt.Fprintf(&out, "%s %s: %s", kind, name, s.Status)
		for i := 0; i < len(more); i += 2 {
			if text := fmt.Sprint(more[i+1]); text != "" && text != "[]" && text != "0" {
				fmt.Fprintf(&out, ", %s %s", more[i], text)
			}
		}
		fmt.Fprintln(&out)
		for _, e := range s.Errors {
			fmt.Fprintf(&out, "\t%s\n", e)
		}
	}
	each(v.Routers, func(name string, r *RouterView) {
		object("router", name, r.State, "on", r.Using, "priority", r.Priority)
	})
	each(v.Services, func(name string, s *ServiceView) {
		if !strings.HasSuffix(name, "@internal") || len(s.UsedBy) > 0 {
			object("service", name, s.State, "used by", s.UsedBy)
		}
	})
	each(v.Middlewares, func(name string, m *MiddlewareView) { object("middleware", name, m.State, "used by", m.UsedBy) })
	each(v.TCPRouters, func(name string, r *TCPRouterView) {
		object("tcp router", name, r.State, "on", r.Using, "priority", r.Priority)
	})
	each(v.TCPServices, func(name string, s *TCPServiceView) { object("tcp service", name, s.State, "used by", s.UsedBy) })
	each(v.TCPMiddlewares, func(name string, m *MiddlewareView) { object("tcp middleware", name, m.State, "used by", m.UsedBy) })
	each(v.UDPRouters, func(name string, r *UDPRouterView) { object("udp router", name, r.State, "on", r.Using) })
	each(v.UDPServices, func(name string, s *UDPServiceView) { object("udp service", name, s.State, "used by", s.UsedBy) })
	for _, p := range v.Problems {
		fmt.Fprintf(&out, "problem %s\n", p)
	}
	return out.String()
}

func each[T any](m map[string]T, do func(string, T)) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		do(name, m[name])
	}
}
