// Package telemetry counts what the gateway does and exposes it to Prometheus.
//
// A finished exchange is counted by its entry point, router, service and server, each a Scope that
// outlives reloads. Counting takes no memory and, for all four, one turn at a shard (package meter); series
// are made up at scrape.
package telemetry

import (
	"fmt"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/meter"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// DefaultBuckets are the upper bounds of duration histograms, in seconds.
var DefaultBuckets = []float64{0.1, 0.3, 1.2, 5}

// DefaultLinger is how long the series of something removed stay, so that every scraper has seen
// their last values.
const DefaultLinger = 2 * time.Minute

// Options say what is counted.
type Options struct {
	// Buckets are the upper bounds of duration histograms in seconds, ascending; nil means DefaultBuckets.
	Buckets []float64
	// EntryPoints, Routers, Services and Servers switch the counting per object on.
	EntryPoints, Routers, Services, Servers bool
	// TraefikNames exposes what Traefik has too under its names as well.
	TraefikNames bool
	// HeaderLabels are labels of requests_total by name, with the request header they are taken from.
	HeaderLabels map[string]string
	// Linger is how long the series of what Live denies stay; 0 means DefaultLinger.
	Linger time.Duration
}

// Metrics is the registry of everything that is counted. It is safe for concurrent use.
type Metrics struct {
	options  Options
	bounds   []int64 // of buckets, nanoseconds
	seconds  []float64
	headers  []headerLabel
	families families
	registry *prometheus.Registry

	mu     sync.RWMutex
	scopes [kindCount]map[scopeID]*scope
	made   int // scopes made since the last sweep

	streams     streams
	connections meterMap
	rejected    meterMap
	orders      meterMap
	counts      counts
	live        atomic.Pointer[func(kind Kind, name, service string) bool]
	servers     atomic.Pointer[func() []ServerState]
	expiries    atomic.Pointer[func() []Expiry]
	resolvers   atomic.Pointer[func() []ResolverState]
}

type scopeID struct{ name, service string }

// NewMetrics returns a registry with the metrics of the process and of the Go runtime in it.
func NewMetrics(o Options) (*Metrics, error) {
	if len(o.Buckets) == 0 {
		o.Buckets = DefaultBuckets
	}
	if o.Linger == 0 {
		o.Linger = DefaultLinger
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	m := &Metrics{options: o, bounds: nanoseconds(o.Buckets), seconds: o.Buckets,
		headers: newHeaderLabels(o.HeaderLabels), registry: prometheus.NewRegistry()}
	m.families = newFamilies(o.TraefikNames, m.headers)
	for k := range m.scopes {
		m.scopes[k] = map[scopeID]*scope{}
	}
	m.registry.MustRegister(m, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m, nil
}

// labelName is what Prometheus accepts everywhere; names that begin with two underscores are its own.
var labelName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$|^_([a-zA-Z0-9][a-zA-Z0-9_]*)?$`)

// check finds what would make scrapes fail later.
func (o *Options) check() error {
	if !slices.IsSorted(o.Buckets) || len(slices.Compact(slices.Clone(o.Buckets))) != len(o.Buckets) {
		return fmt.Errorf("metrics: buckets %v: they must ascend", o.Buckets)
	}
	taken := []string{"code", "method", "protocol"}
	for _, k := range own {
		taken = append(taken, k.labels...)
	}
	for name, header := range o.HeaderLabels {
		switch {
		case !labelName.MatchString(name):
			return fmt.Errorf("metrics: headerLabels: %q is not a label name: use letters, digits and _", name)
		case slices.Contains(taken, name):
			return fmt.Errorf("metrics: headerLabels: the label %q has a meaning already: choose another", name)
		case header == "":
			return fmt.Errorf("metrics: headerLabels: %q names no header", name)
		}
	}
	return nil
}

// EntryPoint returns the scope of an entry point.
func (m *Metrics) EntryPoint(name string) exchange.Scope {
	return m.scope(EntryPoint, name, "", m.options.EntryPoints)
}

// Router returns the scope of a router and the service it leads to, by qualified names.
func (m *Metrics) Router(name, service string) exchange.Scope {
	return m.scope(Router, name, service, m.options.Routers)
}

// Service returns the scope of a service, by qualified name.
func (m *Metrics) Service(name string) exchange.Scope {
	return m.scope(Service, name, "", m.options.Services)
}

// Endpoint returns the scope of one server of a service. Its Name is the URL.
func (m *Metrics) Endpoint(service, url string) exchange.Scope {
	return m.scope(Server, url, service, m.options.Servers)
}

// scope returns the one scope of an object for as long as it is live.
func (m *Metrics) scope(kind Kind, name, service string, counted bool) exchange.Scope {
	if !counted {
		l := label(name)
		return &l
	}
	id := scopeID{name, service}
	m.mu.RLock()
	s := m.scopes[kind][id]
	if s != nil {
		s.used.Store(clock.Now())
	}
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s = m.scopes[kind][id]; s == nil {
		s = m.newScope(kind, name, service)
		m.scopes[kind][id] = s
		if m.made++; m.made >= sweepEvery {
			m.sweep()
		}
	}
	s.used.Store(clock.Now())
	return s
}

func (m *Metrics) newScope(kind Kind, name, service string) *scope {
	s := &scope{kind: kind, name: name, service: service, metrics: m, shortest: m.bounds[0]}
	if kind != Server {
		s.headers = newHeaderTable(m.headers)
	}
	switch kind {
	case EntryPoint:
		s.errors = new([exchange.Draining + 1]atomic.Pointer[meter.Counter])
	case Service:
		s.retries = meter.NewCounter()
	}
	s.used.Store(clock.Now())
	return s
}

// SetLive tells which objects the running configuration has. The series of others are dropped once
// they have lingered. Without it nothing is ever dropped. Service is that of a router or server.
func (m *Metrics) SetLive(live func(kind Kind, name, service string) bool) { m.live.Store(&live) }

// sweepEvery is after how many new scopes a sweep is made even if nobody scrapes.
const sweepEvery = 10000

// sweep drops what has not been live for long. m.mu is held.
func (m *Metrics) sweep() {
	m.made = 0
	live := m.live.Load()
	if live == nil {
		return
	}
	now := clock.Now()
	for kind, scopes := range m.scopes {
		for id, s := range scopes {
			if (*live)(Kind(kind), id.name, id.service) {
				s.used.Store(now)
			} else if now-s.used.Load() > int64(m.options.Linger) {
				delete(scopes, id)
			}
		}
	}
}

// all returns the scopes of a kind.
func (m *Metrics) all(kind Kind) []*scope {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]*scope, 0, len(m.scopes[kind]))
	for _, s := range m.scopes[kind] {
		out = append(out, s)
	}
	return out
}
