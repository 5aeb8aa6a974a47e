package layer4

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay"
)

// Service is where streams end. It is closed by who had it made, once no snapshot that traffic is sent
// to uses it; streams that it has connected go on.
type Service interface {
	relay.Service
	// Checked reports whether Healthy means anything: health checks are configured.
	Checked() bool
	// Healthy reports whether the service has a server that is up. It is cheap.
	Healthy() bool
	// Status is UP or DOWN by address; nil when nothing checks the servers.
	Status() map[string]string
	// Close gives the servers up. It may be called more than once.
	Close()
}

// Scopes gives services and servers their place in the metrics. The same names get the same scope.
type Scopes interface {
	StreamService(name string) exchange.StreamScope
	StreamEndpoint(service, address string) exchange.StreamScope
}

// Options are what a Registry works with; all may be nil.
type Options struct {
	Scopes Scopes
	Logger *slog.Logger
}

// Registry makes services and keeps what outlives them. It is safe for concurrent use.
type Registry struct {
	options Options

	mu        sync.Mutex
	endpoints map[place]*endpoint
}

// place is where an endpoint is: an address of a service.
type place struct{ network, service, address string }

// NewRegistry makes an empty registry.
func NewRegistry(o Options) *Registry {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Registry{options: o, endpoints: map[place]*endpoint{}}
}

// endpoint is a server of a service of some name.
type endpoint struct {
	place
	scope exchange.StreamScope
	users int // services that name it; guarded by Registry.mu

	down     atomic.Bool  // by the check
	avoid    atomic.Int64 // until when it is left alone; package clock, 0 is not at all
	inFlight atomic.Int64
}

func (r *Registry) acquire(p place) *endpoint {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.endpoints[p]
	if e == nil {
		e = &endpoint{place: p}
		if s := r.options.Scopes; s != nil {
			e.scope = s.StreamEndpoint(p.service, p.address)
		}
		r.endpoints[p] = e
	}
	e.users++
	return e
}

func (r *Registry) release(e *endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.users--; e.users == 0 {
		delete(r.endpoints, e.place)
	}
}

// ServerStatus is the state of a server.
type ServerStatus struct {
	// Network is "tcp" or "udp".
	Network, Service, Address string
	Up                        bool
	// InFlight is the number of streams that it has.
	InFlight int64
}

// Servers lists the servers of all services.
func (r *Registry) Servers() []ServerStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]ServerStatus, 0, len(r.endpoints))
	for p, e := range r.endpoints {
		list = append(list, ServerStatus{p.network, p.service, p.address, !e.down.Load(), e.inFlight.Load()})
	}
	return list
}

// pause is how long a server is left alone that could not be connected to.
const pause = 5 * time.Second

// failed notes that a connection could not be made.
func (e *endpoint) failed() { e.avoid.Store(clock.Now() + int64(pause)) }

// avoided reports whether the server is better left alone now. When its time is up one who asks may try
// it, and only that one.
func (e *endpoint) avoided() bool {
	until := e.avoid.Load()
	if until == 0 {
		return false
	}
	now := clock.Now()
	return now < until || !e.avoid.CompareAndSwap(until, now+int64(pause))
}
