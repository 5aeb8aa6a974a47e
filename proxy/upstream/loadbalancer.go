package upstream

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance"
)

// LoadBalancer is the configuration of a service that shares requests among servers.
type LoadBalancer struct {
	Servers []Server
	// Strategy is one of balance.Names; empty means wrr.
	Strategy string
	// Sticky keeps clients on the server they were first sent to; nil does not.
	Sticky *Cookie
	// HealthCheck probes servers; nil does not.
	HealthCheck *HealthCheck
	// PassiveHealthCheck says when failing requests take a server out; nil leaves it to the defaults.
	PassiveHealthCheck *PassiveHealthCheck
	// PassHostHeader sends the client's Host on.
	PassHostHeader bool
	// Transport is how the servers are spoken to; nil means DefaultTransport.
	Transport *Transport
	// SlowStart is how long the share of a server that joins, or comes back, grows from a tenth to
	// the whole; 0 means that it gets all at once.
	SlowStart time.Duration
}

// Server is a server of a load balancer.
type Server struct {
	URL string
	// Weight is its share; 0 or less sends it nothing but those that stick to it.
	Weight int
	// PreservePath puts the path of URL before that of the request.
	PreservePath bool
	// Fenced keeps new clients away; those that stick to the server still reach it.
	Fenced bool
}

type loadBalancer struct {
	name     string
	registry *Registry
	scope    exchange.Scope
	members  []member
	make     balance.New
	timed    bool // the strategy goes by latency
	sticky   *sticky
	passive  *passive
	checked  bool // by active or configured passive checks
	checker  *checker
	budget   budget
	none     error // what a request gets when no server is up

	view    atomic.Pointer[view]
	healthy atomic.Bool

	mu      sync.Mutex
	version uint64 // of view
	closed  bool
}

// member is an endpoint's part in this service.
type member struct {
	*endpoint
	weight int
	fenced bool
}

// LoadBalancer makes a service called name.
func (r *Registry) LoadBalancer(name string, c LoadBalancer) (Service, error) {
	l, err := r.loadBalancer(name, &c)
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", name, err)
	}
	return l, nil
}

func (r *Registry) loadBalancer(name string, c *LoadBalancer) (*loadBalancer, error) {
	l := &loadBalancer{
		name: name, registry: r, scope: r.options.Scopes.Service(name), timed: c.Strategy == "leasttime",
		checked: c.HealthCheck != nil || c.PassiveHealthCheck != nil,
		none:    exchange.NoEndpoint.Withf("service %s: no server is up", name),
	}
	transport := c.Transport
	if transport == nil {
		transport = DefaultTransport
	}
	// Everything that can be wrong is looked at, and told at once, before a server is touched.
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	var err error
	l.make, err = balance.Named(c.Strategy)
	note(err)
	if err := transport.Err(); err != nil {
		note(fmt.Errorf("serversTransport: %w", err))
	}
	l.passive, err = c.PassiveHealthCheck.policy()
	note(err)
	for i, s := range c.Servers {
		if err := checkURL(s.URL); err != nil {
			note(fmt.Errorf("server %d: %w", i+1, err))
		}
		if s.Weight < 0 {
			note(fmt.Errorf("server %d: weight is %d; it must not be negative", i+1, s.Weight))
		}
	}
	l.sticky, err = newSticky(name, c.Sticky)
	note(err)
	l.checker, err = r.newChecker(c.HealthCheck, transport)
	note(err)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	for _, s := range c.Servers {
		l.add(s, PoolKey{URL: s.URL, PassHost: c.PassHostHeader, PreservePath: s.PreservePath, Transport: transport}, c.SlowStart)
	}
	l.budget.init()
	for _, m := range l.members {
		m.watch(l)
	}
	l.refresh()
	for _, m := range l.members {
		l.checker.start(m.endpoint)
	}
	return l, nil
}

// add makes a server a member. One that is named twice is one server with the sum of the weights.
func (l *loadBalancer) add(s Server, key PoolKey, slowStart time.Duration) {
	e, joins := l.registry.acquire(l.name, key)
	for i := range l.members {
		if m := &l.members[i]; m.endpoint == e {
			m.weight += s.Weight
			l.registry.release(e)
			return
		}
	}
	e.slowStart.Store(int64(slowStart))
	if joins && slowStart > 0 {
		e.load.SlowStart(slowStart)
	}
	l.members = append(l.members, member{endpoint: e, weight: s.Weight, fenced: s.Fenced})
	l.sticky.add(s.URL)
}

// Checked reports whether a health check is configured, active or passive.
func (l *loadBalancer) Checked() bool { return l.checked }

// Healthy reports whether the configured health checks leave a server.
func (l *loadBalancer) Healthy() bool { return l.healthy.Load() }

// Status is UP or DOWN for each server's URL.
func (l *loadBalancer) Status() map[string]string {
	m := make(map[string]string, len(l.members))
	for _, s := range l.servers() {
		m[s.URL] = s.Status
	}
	return m
}

// servers is Status in full, in the order of the configuration.
func (l *loadBalancer) servers() []ServerStatus {
	list := make([]ServerStatus, len(l.members))
	for i, m := range l.members {
		s := m.status()
		s.Weight = m.weight
		if l.checker == nil && !s.Ejected {
			s.Status = StatusUp
		}
		list[i] = s
	}
	return list
}

// Close stops the checks and gives the servers up.
func (l *loadBalancer) Close() {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return
	}
	l.checker.stop()
	for _, m := range l.members {
		m.unwatch(l)
		l.registry.release(m.endpoint)
	}
}
