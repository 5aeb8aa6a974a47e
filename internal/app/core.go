package app

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/dashboard/api"
	"github.com/pergola-mesh/pergola/gateway"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/identity/acme"
	"github.com/pergola-mesh/pergola/identity/spiffe"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/httpadapter"
	"github.com/pergola-mesh/pergola/proxy/snapshot"
	"github.com/pergola-mesh/pergola/proxy/upstream"
	"github.com/pergola-mesh/pergola/proxy/upstream/layer4"
	"github.com/pergola-mesh/pergola/telemetry"
)

// core is what turns dynamic configuration into something that answers requests. A check makes one
// and throws it away; the gateway serves from it.
type core struct {
	metrics *telemetry.Metrics
	servers *upstream.Registry
	streams *layer4.Registry
	relays  relays
	builder *snapshot.Builder
	live    *snapshot.Live
	first   snapshot.Report // of the gateway's own objects
	ping    *gateway.Ping
	// identity is the certificates that outlive configurations.
	identity identity.Store
	acme     *acme.Service  // nil without certificate resolvers
	spiffe   *spiffe.Source // nil without spiffe
}

func newCore(c *static.Configuration, logger *slog.Logger) (*core, error) {
	return newCoreWith(c, logger, pools{})
}

// newCoreWith is newCore with another way to open connections.
func newCoreWith(c *static.Configuration, logger *slog.Logger, p upstream.Pools) (*core, error) {
	k := &core{}
	var err error
	if k.metrics, err = telemetry.NewMetrics(metricsOptions(c)); err != nil {
		return nil, err
	}
	if err := k.openACME(c, logger); err != nil {
		return nil, err
	}
	if err := k.openSPIFFE(c, logger); err != nil {
		return nil, err
	}
	k.servers = upstream.NewRegistry(upstream.Options{Pools: p, Scopes: k.metrics, Logger: logger})
	k.streams = layer4.NewRegistry(layer4.Options{Scopes: k.metrics, Logger: logger})
	options := snapshot.Options{
		EntryPoints:    c.EntryPoints,
		Precedence:     c.Providers.Precedence,
		Services:       k.services(c),
		Internal:       gateway.InternalRouters(c),
		Transport:      &c.ServersTransport,
		Resolvers:      slices.Sorted(maps.Keys(c.CertificatesResolvers)),
		Wildcards:      wildcardResolvers(c),
		Upstreams:      k.servers,
		TCPTransport:   c.TCPServersTransport,
		Layer4:         k.streams,
		Identity:       &k.identity,
		Routers:        k.metrics,
		Streams:        k.metrics,
		LogInternals:   c.AccessLog != nil && c.AccessLog.AddInternals,
		CountInternals: c.Metrics != nil && c.Metrics.AddInternals,
		Logger:         logger,
		Providers:      providerKinds(c),
		Features:       features(c),
	}
	if k.spiffe != nil {
		options.SPIFFE = k.spiffe
	}
	k.builder, k.first = snapshot.NewBuilder(options)
	k.live = snapshot.NewLive(k.builder.Snapshot())
	k.metrics.SetLive(k.isLive)
	k.metrics.SetLiveStreams(k.isLiveStream)
	k.metrics.SetServers(k.serverStates)
	k.metrics.SetExpiries(k.expiries)
	return k, nil
}

// isLive reports whether the configuration in force has what a series is about.
func (k *core) isLive(kind telemetry.Kind, name, service string) bool {
	view := k.live.Snapshot().View()
	switch kind {
	case telemetry.Router:
		return view.Routers[name] != nil
	case telemetry.Service:
		return view.Services[name] != nil
	case telemetry.Server:
		s := view.Services[service]
		if s == nil || s.Service == nil || s.LoadBalancer == nil {
			return false
		}
		return slices.ContainsFunc(s.LoadBalancer.Servers, func(server dynamic.Server) bool { return server.URL == name })
	}
	return true
}

// serverStates is how all servers fare, for the metrics.
func (k *core) serverStates() []telemetry.ServerState {
	servers := k.servers.Servers()
	states := make([]telemetry.ServerState, len(servers))
	for i, s := range servers {
		states[i] = telemetry.ServerState{Service: s.Service, URL: s.URL, Up: s.Status == upstream.StatusUp, InFlight: s.InFlight}
	}
	for _, s := range k.streams.Servers() {
		states = append(states, telemetry.ServerState{Service: s.Service, URL: s.Address, Up: s.Up, InFlight: s.InFlight})
	}
	return states
}

// certificates are those that clients are shown, and the SPIFFE identity.
func (k *core) certificates() (all []api.Certificate) {
	if k.spiffe != nil {
		if c := k.spiffe.Certificate(); c != nil {
			all = append(all, api.Certificate{Certificate: c, Origin: api.OfSPIFFE})
		}
	}
	for _, held := range k.identity.Certificates() {
		c := api.Certificate{Certificate: held.Leaf, Origin: api.OfConfiguration, Resolver: held.Resolver}
		if held.Resolver != "" {
			c.Origin = api.OfACME
		}
		all = append(all, c)
	}
	return all
}

// expiries are when certificates end, for the metrics.
func (k *core) expiries() []telemetry.Expiry {
	var all []telemetry.Expiry
	for _, c := range k.certificates() {
		all = append(all, telemetry.ExpiryOf(c.Certificate))
	}
	return all
}

// services are the gateway's own services, as far as the configuration turns them on.
func (k *core) services(c *static.Configuration) map[string]exchange.Handler {
	services := map[string]exchange.Handler{}
	if c.Ping != nil {
		k.ping = &gateway.Ping{Terminating: c.Ping.TerminatingStatusCode}
		services["ping"] = k.ping
	}
	if c.Metrics != nil && c.Metrics.Prometheus != nil {
		services["prometheus"] = httpadapter.Handler(k.metrics.Handler())
	}
	if k.acme != nil {
		services["acme-http"] = &gateway.Challenges{Answer: k.acme.Answer}
	}
	if c.API != nil {
		services["api"] = httpadapter.Handler(api.New(api.Options{
			View:         func() *snapshot.View { return k.live.Snapshot().View() },
			Connections:  k.openConnections,
			Certificates: k.certificates,
			Static:       c,
			BasePath:     c.API.BasePath, Hosts: c.API.Hosts, Debug: c.API.Debug, Dashboard: c.API.Dashboard,
			Version: api.Version{Version: version, Codename: "pergola", StartDate: time.Now(), Commit: commitText(),
				BuildDate: date, DisableDashboardAd: c.API.DisableDashboardAd, DashboardName: c.API.DashboardName},
		}))
		if c.API.Dashboard {
			services["dashboard"] = services["api"]
		}
	}
	return services
}

func metricsOptions(c *static.Configuration) telemetry.Options {
	if c.Metrics == nil || c.Metrics.Prometheus == nil {
		return telemetry.Options{}
	}
	p := c.Metrics.Prometheus
	return telemetry.Options{
		Buckets: p.Buckets, EntryPoints: p.AddEntryPointsLabels, Routers: p.AddRoutersLabels,
		Services: p.AddServicesLabels, Servers: p.AddServersLabels, TraefikNames: p.TraefikNames,
		HeaderLabels: p.HeaderLabels,
	}
}

// providerKinds are the providers that are on, as the API shows them.
func providerKinds(c *static.Configuration) (kinds []string) {
	if c.Providers.File != nil {
		kinds = append(kinds, "File")
	}
	return kinds
}

func features(c *static.Configuration) (f snapshot.Features) {
	if c.Metrics != nil && c.Metrics.Prometheus != nil {
		f.Metrics = "Prometheus"
	}
	f.AccessLog = c.AccessLog != nil
	return f
}
