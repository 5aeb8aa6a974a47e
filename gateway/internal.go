package gateway

import (
	"fmt"
	"maps"
	"math"
	"net"
	"strings"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// InternalRouters are the routers that the static configuration asks for: to the API, ping, metrics
// and the answers to ACME challenges, and the redirections of entry points. They are the configuration of the provider
// "internal".
func InternalRouters(c *static.Configuration) *dynamic.Configuration {
	h := &dynamic.HTTPConfiguration{
		Routers:     map[string]*dynamic.Router{},
		Middlewares: map[string]*dynamic.Middleware{},
	}
	add := func(name, entryPoint, rule, service string, priority int) *dynamic.Router {
		r := &dynamic.Router{EntryPoints: []string{entryPoint}, Rule: rule, Service: service, Priority: priority}
		h.Routers[name] = r
		return r
	}
	if a := c.API; a != nil && a.Insecure {
		base := strings.TrimSuffix(a.BasePath, "/")
		add("api", static.DefaultInternalEntryPoint, "PathPrefix(`"+base+"/api`)", "api@internal", math.MaxInt-1)
		if a.Debug {
			add("debug", static.DefaultInternalEntryPoint, "PathPrefix(`"+base+"/debug`)", "api@internal", math.MaxInt-1)
		}
		if a.Dashboard {
			add("dashboard", static.DefaultInternalEntryPoint, "PathPrefix(`"+base+"/`)", "dashboard@internal", math.MaxInt-2)
		}
	}
	if p := c.Ping; p != nil && !p.ManualRouting {
		add("ping", p.EntryPoint, "PathPrefix(`/ping`)", "ping@internal", math.MaxInt)
	}
	if m := c.Metrics; m != nil && m.Prometheus != nil && !m.Prometheus.ManualRouting {
		add("prometheus", m.Prometheus.EntryPoint, "PathPrefix(`/metrics`)", "prometheus@internal", math.MaxInt)
	}
	maps.Copy(h.Routers, challengeRouters(c))
	for name, e := range c.EntryPoints {
		if e.HTTP.Redirections == nil || e.HTTP.Redirections.EntryPoint == nil || e.Protocol() == "udp" {
			continue
		}
		r := e.HTTP.Redirections.EntryPoint
		id := name + "-to-" + strings.TrimPrefix(r.To, ":")
		h.Middlewares["redirect-"+id] = &dynamic.Middleware{Kind: "redirectScheme", Config: map[string]any{
			"scheme": r.Scheme, "port": redirectPort(c, r), "permanent": fmt.Sprint(r.Permanent),
		}}
		add(id, name, "HostRegexp(`^.+$`)", "noop@internal", r.Priority).Middlewares = []string{"redirect-" + id}
	}
	return &dynamic.Configuration{HTTP: h}
}

// redirectPort is the port of the entry point, or the one, that a redirection names.
func redirectPort(c *static.Configuration, r *static.RedirectEntryPoint) string {
	if port, ok := strings.CutPrefix(r.To, ":"); ok {
		return port
	}
	if to := c.EntryPoints[r.To]; to != nil {
		if _, port, err := net.SplitHostPort(to.ListenAddress()); err == nil {
			return port
		}
	}
	return ""
}

// Ping answers health checks: 200 while the gateway takes requests, another status while it drains.
type Ping struct {
	// Terminating is the status while it drains.
	Terminating int
	draining    atomic.Bool
}

// Drain makes it answer Terminating.
func (p *Ping) Drain() { p.draining.Store(true) }

// Handle is exchange.Handler.
func (p *Ping) Handle(x *exchange.Exchange) error {
	status := 200
	if p.draining.Load() {
		status = p.Terminating
	}
	x.Respond(status, "text/plain; charset=utf-8", exchange.StatusText(status))
	return nil
}
