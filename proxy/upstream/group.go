package upstream

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance"
)

// Weighted is the configuration of a service that shares requests among services by weight.
type Weighted struct {
	Services []WeightedChild
	// Sticky keeps clients on the service they were first sent to; nil does not.
	Sticky *Cookie
	// HealthCheck leaves out services that are not healthy; all must have health checks then.
	HealthCheck bool
}

// HighestRandomWeight is the configuration of a service that sends each client address to the same of
// several services.
type HighestRandomWeight struct {
	Services    []WeightedChild
	HealthCheck bool
}

// WeightedChild is a child with its share. Weight 0 or less: none.
type WeightedChild struct {
	Child
	Weight int
}

// group is a service that chooses among services.
type group struct {
	scope    exchange.Scope
	children []WeightedChild
	make     balance.New
	sticky   *sticky
	checked  bool
	none     error

	view    atomic.Pointer[groupView]
	mu      sync.Mutex
	version uint64 // of view
}

// groupView is whom a group may choose for as long as health stays as it is.
type groupView struct {
	balancer balance.Balancer
	healthy  []bool
	any      bool
}

// Weighted makes a service called name.
func (r *Registry) Weighted(name string, c Weighted) (Service, error) {
	return r.group(name, c.Services, c.Sticky, c.HealthCheck, balance.NewRoundRobin)
}

// HighestRandomWeight makes a service called name.
func (r *Registry) HighestRandomWeight(name string, c HighestRandomWeight) (Service, error) {
	return r.group(name, c.Services, nil, c.HealthCheck, balance.NewRendezvous)
}

func (r *Registry) group(name string, children []WeightedChild, cookie *Cookie, checked bool, make balance.New) (Service, error) {
	g := &group{
		scope: r.options.Scopes.Service(name), children: children, make: make, checked: checked,
		none: exchange.NoEndpoint.Withf("service %s: none of its services is up", name),
	}
	var err error
	if g.sticky, err = newSticky(name, cookie); err != nil {
		return nil, fmt.Errorf("service %s: %w", name, err)
	}
	for i := range children {
		if checked {
			if err := mustCheck(name, &children[i].Child); err != nil {
				return nil, err
			}
		}
		g.sticky.add(children[i].Name)
	}
	g.refresh()
	return g, nil
}

// mustCheck refuses a child whose health nobody would learn.
func mustCheck(service string, c *Child) error {
	if c.checked() {
		return nil
	}
	return fmt.Errorf("service %s: it has healthCheck, but its service %s has none: add healthCheck there too", service, c.Name)
}

// Handle sends x to one of the services.
func (g *group) Handle(x *exchange.Exchange) error {
	v := g.current()
	stuck := g.sticky.find(x)
	i := stuck
	if i < 0 || !v.healthy[i] {
		if i = v.balancer.Pick(x); i < 0 {
			x.Record.Service = g.scope
			return g.none
		}
	}
	err := g.children[i].Handler.Handle(x)
	if err == nil && i != stuck && g.sticky != nil {
		g.sticky.set(x, i)
	}
	return err
}

// current is a view that agrees with the children's health. Asking them takes a load for each, and
// spares them from knowing who they are a part of.
func (g *group) current() *groupView {
	v := g.view.Load()
	if g.checked {
		for i := range g.children {
			if g.children[i].healthy() != v.healthy[i] {
				return g.refresh()
			}
		}
	}
	return v
}

func (g *group) refresh() *groupView {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := &groupView{healthy: make([]bool, len(g.children))}
	targets := make([]balance.Target, len(g.children))
	for i := range g.children {
		c := &g.children[i]
		v.healthy[i] = !g.checked || c.healthy()
		v.any = v.any || v.healthy[i] && c.Weight > 0
		targets[i] = balance.Target{Key: balance.KeyOf(c.Name), Weight: c.Weight, Out: !v.healthy[i]}
	}
	v.balancer = g.make(targets, g.version)
	g.version++
	g.view.Store(v)
	return v
}

// Checked reports whether the group's health means anything.
func (g *group) Checked() bool { return g.checked }

// Healthy reports whether any of the services is.
func (g *group) Healthy() bool { return g.current().any }

// Status is nil: there are no servers of its own.
func (g *group) Status() map[string]string { return nil }

// Close does nothing: whoever had the services made closes them.
func (g *group) Close() {}
