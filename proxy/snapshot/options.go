package snapshot

import (
	"log/slog"
	"maps"
	"slices"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/internal/files"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/upstream"
	"github.com/pergola-mesh/pergola/proxy/upstream/layer4"
)

// internal is the provider of the gateway's own objects.
const internal = "internal"

// Options are what a Builder works with. Upstreams is required.
type Options struct {
	// EntryPoints are all entry points by name. They and what is in them must not change.
	EntryPoints map[string]*static.EntryPoint
	// Precedence lists providers in the order in which their routers win ties of priority; those that
	// are not in it come after.
	Precedence []string
	// Resolvers are the names of the certificate resolvers.
	Resolvers []string
	// Wildcards are those of them that can prove wildcards.
	Wildcards []string
	// Services are the gateway's own, by the name that stands before "@internal", such as "api".
	// noop, which answers 418, is always there.
	Services map[string]exchange.Handler
	// Internal holds the gateway's own routers, and what they need: the configuration of the provider
	// "internal". Only these routers may have a priority above MaxInt-1000.
	Internal *dynamic.Configuration
	// Transport is how servers are spoken to by services that name no serversTransport; nil stands for
	// the defaults.
	Transport *dynamic.ServersTransport
	Upstreams *upstream.Registry
	// TCPTransport is how the servers of TCP services that name no serversTransport are connected to; nil
	// stands for the defaults.
	TCPTransport *dynamic.TCPServersTransport
	// Layer4 makes the services of TCP and UDP; a new registry when nil.
	Layer4 *layer4.Registry
	// Identity holds the certificates that outlive configurations; a new store when nil.
	Identity *identity.Store
	// SPIFFE is the gateway's SPIFFE identity; nil when none is configured.
	SPIFFE SPIFFE
	// Routers gives routers their place in the metrics; nil gives them none.
	Routers Routers
	// Streams does the same for routers of TCP and UDP.
	Streams Streams
	// LogInternals and CountInternals keep access log and metrics for routers that lead to the gateway's
	// own services.
	LogInternals, CountInternals bool
	// ReadFile reads the files that a configuration names; files.Read when nil.
	ReadFile func(path string) ([]byte, error)
	// Logger is handed to middlewares. The builder itself logs nothing.
	Logger *slog.Logger
	// Providers and Features are shown in the View as they are.
	Providers []string
	Features  Features
}

// Routers makes the scopes of routers. The same names get the same scope.
type Routers interface {
	Router(name, service string) exchange.Scope
}

// Streams makes the scopes of routers of TCP and UDP. The same names get the same scope.
type Streams interface {
	StreamRouter(name, service string) exchange.StreamScope
}

// point is an entry point as routers see it.
type point struct {
	name        string
	middlewares []string
	records     static.Observability
	tls         *dynamic.RouterTLS // of routers that do not say; nil for none
	acmeBypass  bool               // routers answer challenges
	startTLS    string             // the protocol, of TCP routers alone, in which TLS begins later; empty: none
}

// teapot is noop@internal.
var teapot = exchange.HandlerFunc(func(x *exchange.Exchange) error {
	x.Respond(418, "text/plain; charset=utf-8", []byte("I'm a teapot\n"))
	return nil
})

// NewBuilder returns a builder whose first snapshot has the gateway's own objects, and what is wrong
// with them.
func NewBuilder(o Options) (*Builder, Report) {
	if o.ReadFile == nil {
		o.ReadFile = files.Read
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Identity == nil {
		o.Identity = &identity.Store{}
	}
	if o.Layer4 == nil {
		o.Layer4 = layer4.NewRegistry(layer4.Options{Logger: o.Logger})
	}
	b := &Builder{
		options:    o,
		graph:      graph{nodes: map[id]*node{}},
		sources:    map[string]*source{},
		pointIndex: map[string]int{},
		faulty:     map[*node]struct{}{},
		kept:       map[*node]struct{}{},

		certificates: map[string]*identity.Certificate{},
	}
	b.addPoints(o.EntryPoints)
	for k := range b.shown {
		b.shown[k] = map[string]*object{}
	}
	b.addInternal(o)
	b.addStandard()
	b.settle()
	b.collectCertificates()
	b.current = newSnapshot(b)
	_, report := b.Apply(dynamic.Update{Provider: internal, Config: o.Internal})
	return b, report
}

// addPoints numbers the entry points for TCP and finds the default ones.
func (b *Builder) addPoints(all map[string]*static.EntryPoint) {
	asDefault := false
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e := all[name]
		if e.Protocol() == "udp" {
			b.udpPoints = append(b.udpPoints, udpPoint{name, e.Observability})
			continue
		}
		b.pointIndex[name] = len(b.points)
		b.bonds = append(b.bonds, newBonds(name))
		p := point{name, e.HTTP.Middlewares, e.Observability, e.HTTP.TLS, e.AllowACMEByPass, ""}
		if e.StartTLS != nil {
			p.startTLS = e.StartTLS.Protocol
		}
		b.points = append(b.points, p)
		asDefault = asDefault || e.AsDefault
	}
	for i, p := range b.points {
		if all[p.name].AsDefault || !asDefault && p.name != "traefik" && p.startTLS == "" {
			b.defaults = append(b.defaults, i)
		}
	}
}

// addInternal adds the objects that are not made from configuration: the gateway's services and the
// default transport.
func (b *Builder) addInternal(o Options) {
	services := map[string]exchange.Handler{"noop": teapot}
	maps.Copy(services, o.Services)
	for name, handler := range services {
		n := b.graph.node(id{aService, name + "@" + internal})
		n.config, n.value, n.err = &dynamic.Service{}, &service{handler: handler}, nil
		n.shown = &object{config: n.config}
		b.show(n)
	}
	transport := o.Transport
	if transport == nil {
		transport = &dynamic.ServersTransport{}
		transport.SetDefaults()
	}
	tcp := o.TCPTransport
	if tcp == nil {
		tcp = &dynamic.TCPServersTransport{}
		tcp.SetDefaults()
	}
	for k, config := range map[kind]any{aTransport: transport, aTCPTransport: tcp} {
		n := b.graph.node(id{k, defaultTransport})
		n.config, n.phase = config, stale
		b.build(n)
	}
}

// defaultTransport is the name of the transport of services that name none.
const defaultTransport = "default@" + internal
