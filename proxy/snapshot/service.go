package snapshot

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// service is a service that was built.
type service struct {
	handler exchange.Handler // the core with the service's own middlewares around it
	core    upstream.Service // nil for the gateway's own
}

func (s *service) close() {
	if s.core != nil {
		s.core.Close()
	}
}

// service returns a service that the object being built asks for.
func (b *Builder) service(name string) (*service, error) {
	n, err := b.need(aService, name)
	if err != nil {
		return nil, err
	}
	return n.value.(*service), nil
}

// newService makes a service. It stops at the first thing that is wrong: what it asked for until then
// is what its being wrong depends on.
func (b *Builder) newService(n *node, config *dynamic.Service) (*service, error) {
	var links []exchange.Middleware
	for _, name := range config.Middlewares {
		m, err := b.middleware(qualify(name, n.provider()))
		if err != nil {
			return nil, err
		}
		links = append(links, m)
	}
	core, err := b.newCore(n, config)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), n.id.String()+": "))
	}
	n.shown.status = core.Status
	return &service{exchange.Chain(core, links...), core}, nil
}

// newCore makes a service without its middlewares.
func (b *Builder) newCore(n *node, config *dynamic.Service) (upstream.Service, error) {
	var set []string
	var build func() (upstream.Service, error)
	if c := config.LoadBalancer; c != nil {
		set, build = append(set, "loadBalancer"), func() (upstream.Service, error) { return b.loadBalancer(n, c) }
	}
	if c := config.Weighted; c != nil {
		set, build = append(set, "weighted"), func() (upstream.Service, error) { return b.weighted(n, c) }
	}
	if c := config.HighestRandomWeight; c != nil {
		set, build = append(set, "highestRandomWeight"), func() (upstream.Service, error) { return b.highestRandomWeight(n, c) }
	}
	if c := config.Mirroring; c != nil {
		set, build = append(set, "mirroring"), func() (upstream.Service, error) { return b.mirroring(n, c) }
	}
	if c := config.Failover; c != nil {
		set, build = append(set, "failover"), func() (upstream.Service, error) { return b.failover(n, c) }
	}
	switch len(set) {
	case 0:
		return nil, errors.New("a service needs one of loadBalancer, weighted, highestRandomWeight, mirroring, failover")
	case 1:
		return build()
	}
	return nil, fmt.Errorf("a service is of one kind, not of %s; make one of each", strings.Join(set, " and "))
}

func (b *Builder) loadBalancer(n *node, c *dynamic.LoadBalancer) (upstream.Service, error) {
	transport := defaultTransport
	if c.ServersTransport != "" {
		transport = qualify(c.ServersTransport, n.provider())
	}
	t, err := b.need(aTransport, transport)
	if err != nil {
		return nil, err
	}
	config := upstream.LoadBalancer{
		Strategy:       c.Strategy,
		Sticky:         cookie(c.Sticky),
		HealthCheck:    healthCheck(c.HealthCheck),
		PassHostHeader: or(c.PassHostHeader, true),
		Transport:      t.value.(*upstream.Transport),
		SlowStart:      time.Duration(c.SlowStart),
	}
	if c.SlowStart < 0 {
		return nil, fmt.Errorf("slowStart is %s; it must not be negative", config.SlowStart)
	}
	if p := c.PassiveHealthCheck; p != nil {
		config.PassiveHealthCheck = &upstream.PassiveHealthCheck{
			FailureWindow: time.Duration(p.FailureWindow), MaxFailedAttempts: p.MaxFailedAttempts,
		}
	}
	for _, s := range c.Servers {
		config.Servers = append(config.Servers, upstream.Server{
			URL: s.URL, Weight: or(s.Weight, 1), PreservePath: s.PreservePath, Fenced: s.Fenced,
		})
	}
	if config.Transport.TLS.SPIFFE != nil {
		var plaintext []string
		for _, s := range c.Servers {
			if !strings.HasPrefix(s.URL, "https:") {
				plaintext = append(plaintext, s.URL)
			}
		}
		plaintextBesideSPIFFE(n, transportKey(transport, "serversTransport"), "give it an https:// URL", plaintext)
	}
	return b.options.Upstreams.LoadBalancer(n.name, config)
}

func cookie(s *dynamic.Sticky) *upstream.Cookie {
	if s == nil || s.Cookie == nil {
		return nil
	}
	c := s.Cookie
	return &upstream.Cookie{
		Name: c.Name, Secure: c.Secure, HTTPOnly: c.HTTPOnly, SameSite: c.SameSite, MaxAge: c.MaxAge,
		Path: or(c.Path, "/"), Domain: c.Domain,
	}
}

func (b *Builder) weighted(n *node, c *dynamic.Weighted) (upstream.Service, error) {
	config := upstream.Weighted{Sticky: cookie(c.Sticky), HealthCheck: c.HealthCheck != nil}
	for _, s := range c.Services {
		child, err := b.weightedChild(n, s.Name, s.Weight)
		if err != nil {
			return nil, err
		}
		config.Services = append(config.Services, child)
	}
	return b.options.Upstreams.Weighted(n.name, config)
}

func (b *Builder) highestRandomWeight(n *node, c *dynamic.HighestRandomWeight) (upstream.Service, error) {
	config := upstream.HighestRandomWeight{HealthCheck: c.HealthCheck != nil}
	for _, s := range c.Services {
		child, err := b.weightedChild(n, s.Name, s.Weight)
		if err != nil {
			return nil, err
		}
		config.Services = append(config.Services, child)
	}
	return b.options.Upstreams.HighestRandomWeight(n.name, config)
}

func (b *Builder) mirroring(n *node, c *dynamic.Mirroring) (_ upstream.Service, err error) {
	config := upstream.Mirroring{
		MirrorBody: or(c.MirrorBody, true), MaxBodySize: or(c.MaxBodySize, -1), HealthCheck: c.HealthCheck != nil,
	}
	if config.Service, err = b.child(n, c.Service); err != nil {
		return nil, err
	}
	for _, m := range c.Mirrors {
		child, err := b.child(n, m.Name)
		if err != nil {
			return nil, err
		}
		config.Mirrors = append(config.Mirrors, upstream.Mirror{Child: child, Percent: m.Percent})
	}
	return b.options.Upstreams.Mirroring(n.name, config)
}

func (b *Builder) failover(n *node, c *dynamic.Failover) (_ upstream.Service, err error) {
	config := upstream.Failover{HealthCheck: c.HealthCheck != nil}
	if config.Service, err = b.child(n, c.Service); err != nil {
		return nil, err
	}
	if config.Fallback, err = b.child(n, c.Fallback); err != nil {
		return nil, err
	}
	if e := c.Errors; e != nil {
		config.Errors = &upstream.FailoverErrors{
			MaxRequestBodyBytes: or(e.MaxRequestBodyBytes, upstream.DefaultMaxRequestBodyBytes), Status: e.Status,
		}
	}
	return b.options.Upstreams.Failover(n.name, config)
}

// child returns a service as a part of n.
func (b *Builder) child(n *node, name string) (upstream.Child, error) {
	if name == "" {
		return upstream.Child{}, errors.New("a service that it is made of has no name")
	}
	name = qualify(name, n.provider())
	s, err := b.service(name)
	if err != nil {
		return upstream.Child{}, err
	}
	child := upstream.Child{Name: name, Handler: s.handler}
	if s.core != nil {
		child.Health = s.core
	}
	return child, nil
}

func (b *Builder) weightedChild(n *node, name string, weight *int) (upstream.WeightedChild, error) {
	child, err := b.child(n, name)
	if err == nil && weight != nil && *weight < 0 {
		err = fmt.Errorf("service %s: weight is %d; it must not be negative", child.Name, *weight)
	}
	return upstream.WeightedChild{Child: child, Weight: or(weight, 1)}, err
}

func healthCheck(h *dynamic.ServerHealthCheck) *upstream.HealthCheck {
	if h == nil {
		return nil
	}
	return &upstream.HealthCheck{
		Scheme: h.Scheme, Mode: h.Mode, Path: h.Path, Method: h.Method, Status: h.Status, Port: h.Port,
		Interval: time.Duration(h.Interval), UnhealthyInterval: time.Duration(or(h.UnhealthyInterval, 0)),
		Timeout: time.Duration(h.Timeout), Hostname: h.Hostname,
		FollowRedirects: or(h.FollowRedirects, true), Headers: h.Headers,
	}
}
