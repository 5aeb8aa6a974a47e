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
	// Probes make what active checks send their requests with: over HTTP/2 alone, or over HTTP/1.1. Nil
	// makes connections as t has them.
	Probes func(t *Transport, http2 bool) (http.RoundTripper, error)
}

// Registry makes services and keeps what outlives them: endpoints. Its methods are safe for
// concurrent use.
type Registry struct {
	options Options

	mu        sync.Mutex
	endpoints map[string]map[string]*endpoint // by service, then by id
}

// NewRegistry makes an empty registry.
func NewRegistry(options Options) *Registry {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.Scopes == nil {
		options.Scopes = noScopes{}
	}
	if options.Probes == nil {
		options.Probes = newProbeTransport
	}
	return &Registry{
		options:   options,
		endpoints: map[string]map[string]*endpoint{},
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
		watchers: map[*loadBalancer]struct{}{},
	}
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
	r.mu.Unlock()
	e.retire()
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
