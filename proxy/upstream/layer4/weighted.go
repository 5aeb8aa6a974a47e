package layer4

import (
	"context"
	"errors"
	"fmt"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance"
)

// Weighted is the configuration of a service that shares streams among services.
type Weighted struct {
	Services []Child
	// HealthCheck leaves out services that report themselves down; all of them must have checks.
	HealthCheck bool
}

// Child is a service that another is made of, and its share.
type Child struct {
	Name    string
	Service Service
	// Weight of zero sends nothing.
	Weight int
}

type weighted struct {
	name     string
	children []Child
	checked  bool
	balancer balance.Balancer
}

// Weighted makes a service called name.
func (r *Registry) Weighted(name string, c Weighted) (Service, error) {
	w := &weighted{name: name, children: c.Services, checked: c.HealthCheck}
	if len(c.Services) == 0 {
		return nil, fmt.Errorf("service %s: no services are listed", name)
	}
	targets := make([]balance.Target, len(c.Services))
	for i, child := range c.Services {
		if child.Weight < 0 {
			return nil, fmt.Errorf("service %s: the weight of %s is %d; it must not be negative", name, child.Name, child.Weight)
		}
		if c.HealthCheck && !child.Service.Checked() {
			return nil, fmt.Errorf("service %s: healthCheck needs one in every service, and %s has none", name, child.Name)
		}
		targets[i] = balance.Target{Weight: child.Weight}
	}
	w.balancer = balance.NewRoundRobin(targets, 0)
	return w, nil
}

// Connect has the child whose turn it is connect the stream, or the next that has a server.
func (w *weighted) Connect(ctx context.Context, s *exchange.Stream) (relay.Link, error) {
	err := error(exchange.NoEndpoint.Withf("service %s: no service is up", w.name))
	pick := w.balancer.Pick(nil)
	if pick < 0 {
		return relay.Link{}, err
	}
	for k := range w.children {
		child := &w.children[(pick+k)%len(w.children)]
		if child.Weight == 0 || w.checked && !child.Service.Healthy() {
			continue
		}
		var link relay.Link
		if link, err = child.Service.Connect(ctx, s); !errors.Is(err, exchange.NoEndpoint) {
			return link, err
		}
	}
	return relay.Link{}, err
}

// Checked reports whether a health check is configured.
func (w *weighted) Checked() bool { return w.checked }

// Healthy reports whether a child is up.
func (w *weighted) Healthy() bool {
	for i := range w.children {
		if w.children[i].Weight > 0 && w.children[i].Service.Healthy() {
			return true
		}
	}
	return false
}

// Status is nil: the children have servers.
func (w *weighted) Status() map[string]string { return nil }

// Close does nothing: the children are closed by who had them made.
func (w *weighted) Close() {}
