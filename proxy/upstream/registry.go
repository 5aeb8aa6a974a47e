package upstream

import (
	"log/slog"
	"net/http"
	"sync"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Scopes gives services and servers their place in the metrics.
type Scopes interface {
	Service(name string) exchange.Scope
	Endpoint(service, url string) exchange.Scope
}

// Options is what a registry works with. Pools is required.
type Options struct {
	Pools  Pools
	Scopes Scopes
	Logger *slog.Logger
	// OnStatus, when set, is told when a server is first seen, and whenever it goes down or comes up;
	// OnGone, when no service names it any more and it has drained. They are called from any
	// goroutine, must be quick, and must not call the registry.
	OnStatus func(service, url string, up bool)
	OnGone   func(service, url string)
}

// Registry makes services and keeps what outlives them: endpoints. Its methods are safe for
// concurrent use.
type Registry struct {
	options Options
	// probes, when set, makes what active checks send their requests with.
	probes func(t *Transport, http2 bool) (http.RoundTripper, error)

	mu        sync.Mutex
	endpoints map[string]map[string]*endpoint // by service, then by id
	draining  map[*endpoint]struct{}
}

// NewRegistry makes an empty registry.
func NewRegistry(options Options) *Registry {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.Scopes == nil {
		options.Scopes = noScopes{}
	}
	if options.OnStatus == nil {
		options.OnStatus = func(string, string, bool) {}
	}
	if options.OnGone == nil {
		options.OnGone = func(string, string) {}
	}
	return &Registry{
		options:   options,
		probes:    newProbeTransport,
		endpoints: map[string]map[string]*endpoint{},
		draining:  map[*endpoint]struct{}{},
	}
}

type noScopes struct{}

func (noScopes) Service(string) exchange.Scope          { return nil }
func (noScopes) Endpoint(string, string) exchange.Scope { return nil }

// acquire returns the endpoint of a server for one more user, who releases it. It joins when it is new
// in a service that has others: slow start is for those.
func (r *Registry) acquire(service string, key PoolKey) (e *endpoint, joins bool) {
	id := key.id()
	r.mu.Lock()
	defer r.mu.Unlock()
	siblings := r.endpoints[service]
	if e = siblings[id]; e != nil {
		e.users++
		return e, false
	}
	e = &endpoint{
		service: service, url: key.URL, id: id, users: 1,
		scope:    r.options.Scopes.Endpoint(service, key.URL),
		logger:   r.options.Logger,
		notify:   r.options.OnStatus,
		watchers: map[*loadBalancer]struct{}{},
	}
	e.gone = func() { r.forget(e) }
	e.handler, e.pool = r.options.Pools.Pool(key)
	for _, other := range siblings {
		if other.url == e.url {
			e.inherit(other)
		}
	}
	if siblings == nil {
		siblings = map[string]*endpoint{}
		r.endpoints[service] = siblings
	}
	siblings[id] = e
	e.notify(service, e.url, e.up())
	return e, len(siblings) > 1
}

// release gives an endpoint up. The last user's release makes it drain.
func (r *Registry) release(e *endpoint) {
	r.mu.Lock()
	if e.users--; e.users > 0 {
		r.mu.Unlock()
		return
	}
	siblings := r.endpoints[e.service]
	delete(siblings, e.id)
	if len(siblings) == 0 {
		delete(r.endpoints, e.service)
	}
	r.draining[e] = struct{}{}
	r.mu.Unlock()
	e.retire()
}

func (r *Registry) forget(e *endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.draining, e)
	for _, other := range r.endpoints[e.service] {
		if other.url == e.url {
			return
		}
	}
	r.options.OnGone(e.service, e.url)
}

// Servers lists the servers of all services.
func (r *Registry) Servers() []ServerStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]ServerStatus, 0, len(r.endpoints))
	for _, siblings := range r.endpoints {
		for _, e := range siblings {
			list = append(list, e.status())
		}
	}
	return list
}

// Draining lists the servers that no service names any more and that still have requests in flight.
func (r *Registry) Draining() []ServerStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]ServerStatus, 0, len(r.draining))
	for e := range r.draining {
		s := e.status()
		s.Status = StatusDraining
		list = append(list, s)
	}
	return list
}
