package layer4

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance"
)

// LoadBalancer is the configuration of a service that shares streams among servers, one after the other.
type LoadBalancer struct {
	// Network is "tcp" or "udp".
	Network string
	Servers []Server
	// Transport is how the servers are connected to; nil means DefaultTransport.
	Transport *Transport
	// HealthCheck probes servers; nil does not.
	HealthCheck *HealthCheck
}

// Server is a server of a load balancer.
type Server struct {
	// Address is host:port.
	Address string
	// TLS speaks TLS to it.
	TLS bool
}

type loadBalancer struct {
	name     string
	registry *Registry
	scope    exchange.StreamScope
	network  string
	members  []member
	dialer   *Transport
	check    *checker

	view    atomic.Pointer[view]
	mu      sync.Mutex
	version uint64 // of view
	closed  bool
}

// member is an endpoint's part in this service.
type member struct {
	*endpoint
	tls *tls.Config // nil: plaintext
}

// view is who may be chosen, as of the last change in the servers' health. It is immutable.
type view struct {
	balancer balance.Balancer
	up       []bool
	healthy  bool
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
	l := &loadBalancer{name: name, registry: r, network: c.Network, dialer: c.Transport}
	if l.dialer == nil {
		l.dialer = DefaultTransport
	}
	if s := r.options.Scopes; s != nil {
		l.scope = s.StreamService(name)
	}
	// Everything that can be wrong is looked at before a server is touched.
	configs := make([]*tls.Config, len(c.Servers))
	for i, s := range c.Servers {
		host, err := checkAddress(s.Address)
		if err == nil && s.TLS {
			configs[i], err = l.dialer.tlsFor(host)
		}
		if err != nil {
			return nil, fmt.Errorf("server %d: %w", i+1, err)
		}
	}
	var err error
	if l.check, err = newChecker(c.HealthCheck); err != nil {
		return nil, fmt.Errorf("healthCheck: %w", err)
	}
	for i, s := range c.Servers {
		l.members = append(l.members, member{r.acquire(place{c.Network, name, s.Address}), configs[i]})
	}
	l.refresh()
	for _, m := range l.members {
		l.check.start(l, m)
	}
	return l, nil
}

// checkAddress returns the host of host:port.
func checkAddress(address string) (host string, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || strings.Contains(address, "/") {
		return "", fmt.Errorf("address %q is not host:port, such as 10.0.0.1:5432", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("address %q has no port from 1 to 65535", address)
	}
	return host, nil
}

// refresh makes the view of what is known now.
func (l *loadBalancer) refresh() {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := &view{up: make([]bool, len(l.members))}
	targets := make([]balance.Target, len(l.members))
	for i, m := range l.members {
		v.up[i] = l.check == nil || !m.down.Load()
		v.healthy = v.healthy || v.up[i]
		targets[i] = balance.Target{Weight: 1, Out: !v.up[i]}
	}
	v.balancer = balance.NewRoundRobin(targets, l.version)
	l.version++
	l.view.Store(v)
}

// maxAttempts is how many servers are tried for a stream.
const maxAttempts = 3

// Connect is relay.Service.
func (l *loadBalancer) Connect(ctx context.Context, s *exchange.Stream) (relay.Link, error) {
	s.Service = l.scope
	v := l.view.Load()
	var space [maxAttempts]int
	tried := space[:0]
	err := error(exchange.NoEndpoint.Withf("service %s: no server is up", l.name))
	for len(tried) < maxAttempts && ctx.Err() == nil {
		i := v.next(l.members, tried)
		if i < 0 {
			break
		}
		tried = append(tried, i)
		m := l.members[i]
		s.Attempts++
		s.Endpoint = m.scope
		var link relay.Link
		if link, err = l.connect(ctx, m, s); err == nil {
			return link, nil
		}
	}
	return relay.Link{}, err
}

// next is who is tried after tried; -1 when nobody is left.
func (v *view) next(members []member, tried []int) int {
	pick := v.balancer.Pick(nil)
	if pick < 0 {
		return -1
	}
	spare := -1 // better one that is to be left alone than none
	for k := range members {
		i := (pick + k) % len(members)
		if !v.up[i] || slices.Contains(tried, i) {
			continue
		}
		if !members[i].avoided() {
			return i
		}
		if spare < 0 {
			spare = i
		}
	}
	return spare
}

func (l *loadBalancer) connect(ctx context.Context, m member, s *exchange.Stream) (relay.Link, error) {
	conn, err := l.dialer.dial(ctx, l.network, m.address, m.tls, s)
	if err != nil {
		if ctx.Err() == nil {
			m.failed()
		}
		return relay.Link{}, err
	}
	m.avoid.Store(0)
	m.inFlight.Add(1)
	return relay.Link{
		Conn: conn, TerminationDelay: l.dialer.TerminationDelay,
		Release: func() { m.inFlight.Add(-1) },
	}, nil
}

// Checked reports whether a health check is configured.
func (l *loadBalancer) Checked() bool { return l.check != nil }

// Healthy reports whether a server is up.
func (l *loadBalancer) Healthy() bool { return l.view.Load().healthy }

// Status is UP or DOWN by address.
func (l *loadBalancer) Status() map[string]string {
	if l.check == nil {
		return nil
	}
	status := make(map[string]string, len(l.members))
	v := l.view.Load()
	for i, m := range l.members {
		status[m.address] = "UP"
		if !v.up[i] {
			status[m.address] = "DOWN"
		}
	}
	return status
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
	l.check.stop()
	for _, m := range l.members {
		l.registry.release(m.endpoint)
	}
}
