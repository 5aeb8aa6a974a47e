package snapshot

import (
	"fmt"
	"maps"
	"runtime"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// many is a configuration of n routers, of which ten share a service and all share a middleware.
func many(n int) *dynamic.HTTPConfiguration {
	c := &dynamic.HTTPConfiguration{
		Routers:     map[string]*dynamic.Router{},
		Services:    map[string]*dynamic.Service{},
		Middlewares: map[string]*dynamic.Middleware{"prefix": {Kind: "addPrefix", Config: map[string]any{"prefix": "/app"}}},
	}
	for i := range n {
		service := fmt.Sprintf("s%d", i/10)
		c.Routers[fmt.Sprintf("r%d", i)] = &dynamic.Router{
			Rule:    fmt.Sprintf("Host(`h%d.example`) && PathPrefix(`/p`)", i),
			Service: service, Middlewares: []string{"prefix"},
		}
		c.Services[service] = &dynamic.Service{LoadBalancer: &dynamic.LoadBalancer{
			Servers: []dynamic.Server{{URL: fmt.Sprintf("http://10.0.%d.%d", i/2560, i/10%256)}},
		}}
	}
	return c
}

func updateOf(c *dynamic.HTTPConfiguration) dynamic.Update {
	return dynamic.Update{Provider: "file", Config: &dynamic.Configuration{HTTP: c}}
}

// variant is c with one router that sends requests for another path to another service.
func variant(c *dynamic.HTTPConfiguration, i int) *dynamic.HTTPConfiguration {
	v := *c
	v.Routers = maps.Clone(c.Routers)
	name := fmt.Sprintf("r%d", i)
	r := *v.Routers[name]
	r.Rule += " && Method(`GET`)"
	r.Service = "s0"
	v.Routers[name] = &r
	return &v
}

func TestOnlyWhatChangedIsBuilt(t *testing.T) {
	const n = 1000
	f := newFixture(t)
	base := many(n)
	f.apply(updateOf(base))
	if want := (Counts{Routers: n, Services: n / 10, Middlewares: 1}); f.report.Built != want {
		t.Fatalf("the first update built %+v, want %+v", f.report.Built, want)
	}
	before := f.live.Snapshot()

	f.apply(updateOf(variant(base, 500)))
	if want := (Counts{Routers: 1}); f.report.Built != want || !f.report.Changed {
		t.Errorf("one changed router built %+v, want %+v", f.report.Built, want)
	}
	after := f.live.Snapshot()
	if before == after || before.tables[tablesOf].Entry("r501@file").Handler != after.tables[tablesOf].Entry("r501@file").Handler {
		t.Error("a router that did not change was built again")
	}
	if before.tables[0] != after.tables[0] {
		t.Error("the table of an entry point without a change was made again")
	}

	f.apply(updateOf(base))
	service := *base
	service.Services = maps.Clone(base.Services)
	service.Services["s7"] = &dynamic.Service{LoadBalancer: &dynamic.LoadBalancer{Servers: []dynamic.Server{{URL: "http://10.9.9.9"}}}}
	f.apply(updateOf(&service))
	if want := (Counts{Routers: 10, Services: 1}); f.report.Built != want {
		t.Errorf("one changed service built %+v, want %+v", f.report.Built, want)
	}

	f.apply(updateOf(base))
	before = f.live.Snapshot()
	f.apply(updateOf(many(n))) // the same in other memory
	if f.report.Changed || f.report.Built.total() != 0 || f.live.Snapshot() != before {
		t.Errorf("the same configuration in other memory built %+v", f.report.Built)
	}
}

// The work of one changed router among ten thousand, counted in objects and in memory, which unlike
// time are the same in every run.
func TestOneRouterInTenThousand(t *testing.T) {
	const n = 10000
	base := many(n)
	f := newFixture(t)
	full := allocated(func() { f.apply(updateOf(base)) })
	built := f.report.Built.total()
	next := updateOf(variant(base, n/2))
	one := allocated(func() { f.apply(next) })
	if f.report.Built.total()*20 > built {
		t.Errorf("one router built %d objects, all built %d", f.report.Built.total(), built)
	}
	if one*20 > full {
		t.Errorf("one router allocated %d bytes, all allocated %d: more than 5 %%", one, full)
	}
	t.Logf("one router: %d of %d objects, %d of %d bytes", f.report.Built.total(), built, one, full)
}

func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestMatchingAllocatesNothing(t *testing.T) {
	f := newFixture(t)
	f.apply(updateOf(many(100)))
	x := exchangetest.Request("GET", "http://h42.example/other")
	h := f.live.Handler("web")
	if n := testing.AllocsPerRun(100, func() {
		if h.Handle(x) == nil {
			t.Fatal("a router matched")
		}
	}); n != 0 {
		t.Errorf("%v allocations to find no router", n)
	}
	f.load(t, "http: {routers: {a: {rule: \"Host(`h.example`)\", service: gone}}}")
	x = exchangetest.Request("GET", "http://h.example/")
	if n := testing.AllocsPerRun(100, func() {
		if h.Handle(x) == nil || x.Record.Router.Name() != "a@file" {
			t.Fatal("the router did not answer")
		}
	}); n != 0 {
		t.Errorf("%v allocations for a router", n)
	}
}

func BenchmarkFull(b *testing.B) {
	base := updateOf(many(10000))
	for b.Loop() {
		newFixture(b).apply(base)
	}
}

func BenchmarkOneRouter(b *testing.B) {
	base := many(10000)
	changed := variant(base, 5000)
	f := newFixture(b)
	f.apply(updateOf(base))
	for i := 0; b.Loop(); i++ {
		if i%2 == 0 {
			f.apply(updateOf(changed))
		} else {
			f.apply(updateOf(base))
		}
	}
}

func BenchmarkHandle(b *testing.B) {
	f := newFixture(b)
	f.load(b, "http: {routers: {a: {rule: \"Host(`h.example`)\", service: gone}}}")
	h, x := f.live.Handler("web"), exchangetest.Request("GET", "http://h.example/")
	b.ReportAllocs()
	for b.Loop() {
		h.Handle(x)
	}
}

// total is the number of all objects.
func (c Counts) total() int { return c.Routers + c.Services + c.Middlewares + c.ServersTransports }
