package snapshot

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// Requests run while the configuration changes under them: each is answered by the configuration
// before or after a change, and none fails.
func TestRequestsDuringChanges(t *testing.T) {
	f := newFixture(t)
	version := func(i int) dynamic.Update {
		return updateOf(&dynamic.HTTPConfiguration{
			Routers: map[string]*dynamic.Router{
				"a": {Rule: "PathPrefix(`/`)", Service: "a", Middlewares: []string{"m"}},
				"b": {Rule: fmt.Sprintf("PathPrefix(`/b`) && !Method(`M%d`)", i), Service: "b"},
			},
			Services: map[string]*dynamic.Service{
				"a": {LoadBalancer: &dynamic.LoadBalancer{Servers: []dynamic.Server{{URL: fmt.Sprintf("http://10.0.0.%d", i%200)}}}},
				"b": {Weighted: &dynamic.Weighted{Services: []dynamic.WeightedService{{Name: "a"}}}},
			},
			Middlewares: map[string]*dynamic.Middleware{
				"m": {Kind: "addPrefix", Config: map[string]any{"prefix": fmt.Sprintf("/%d", i)}},
			},
		})
	}
	f.apply(version(0))
	var done atomic.Bool
	var answered atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			h := f.live.Handler("web")
			for !done.Load() {
				for _, path := range []string{"/", "/b"} {
					x := exchangetest.Request("GET", path)
					if r := exchangetest.Do(h, x); r.Status != 200 {
						t.Errorf("%s is answered %d: %v", path, r.Status, r.Err)
						return
					}
					answered.Add(1)
				}
				if v := f.live.Snapshot().View(); len(v.Routers) != 2 || v.Routers["a@file"].Status != Enabled {
					t.Errorf("the view shows %d routers", len(v.Routers))
					return
				}
			}
		})
	}
	const changes = 300
	for i := range changes {
		f.apply(version(i))
	}
	for answered.Load() < 100 && !t.Failed() {
		f.apply(version(int(answered.Load())))
	}
	done.Store(true)
	clients.Wait()
	if open := f.pools.list(); len(open) != 1 {
		t.Errorf("pools are open that no service needs: %q", open)
	}
}
