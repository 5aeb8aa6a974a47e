package api

import (
	"strconv"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/snapshot"
)

// sections are the lists of the API.
var sections = []*section{
	mapped("http/routers", "router", func(v *snapshot.View) map[string]*snapshot.RouterView { return v.Routers }, httpRouter, routerOrders),
	mapped("http/services", "service", func(v *snapshot.View) map[string]*snapshot.ServiceView { return v.Services }, httpService, serviceOrders),
	mapped("http/middlewares", "middleware", func(v *snapshot.View) map[string]*snapshot.MiddlewareView { return v.Middlewares }, middleware, middlewareOrders),
	mapped("tcp/routers", "router", func(v *snapshot.View) map[string]*snapshot.TCPRouterView { return v.TCPRouters }, tcpRouter, routerOrders),
	mapped("tcp/services", "service", func(v *snapshot.View) map[string]*snapshot.TCPServiceView { return v.TCPServices }, tcpService, serviceOrders),
	mapped("tcp/middlewares", "middleware", func(v *snapshot.View) map[string]*snapshot.MiddlewareView { return v.TCPMiddlewares }, middleware, middlewareOrders),
	connections("tcp/connections", "tcp", "connection"),
	mapped("udp/routers", "router", func(v *snapshot.View) map[string]*snapshot.UDPRouterView { return v.UDPRouters }, udpRouter, routerOrders),
	mapped("udp/services", "service", func(v *snapshot.View) map[string]*snapshot.UDPServiceView { return v.UDPServices }, udpService, serviceOrders),
	connections("udp/sessions", "udp", "session"),
	mapped("entrypoints", "entry point", func(v *snapshot.View) map[string]*static.EntryPoint { return v.EntryPoints }, entryPoint, nil),
	{"certificates", "certificate", certificateItems, findCertificate, certificateOrders},
}

// mapped is a section of what the view has in a map.
func mapped[V any](path, noun string, of func(*snapshot.View) map[string]V, describe func(string, V) item, orders map[string]order) *section {
	return &section{path, noun,
		func(s *state) []item {
			var items []item
			for name, v := range of(s.View) {
				items = append(items, describe(name, v))
			}
			return items
		},
		func(s *state, name string) (item, bool) {
			v, ok := of(s.View)[name]
			if !ok {
				return item{}, false
			}
			return describe(name, v), true
		}, orders}
}

// shownRouter is an HTTP router as it is shown.
type shownRouter struct {
	*snapshot.RouterView
	// TLS hides that of the view: the name of its options is never left out.
	TLS         *dynamic.RouterTLS `json:"tls,omitempty"`
	Name        string             `json:"name,omitempty"`
	Provider    string             `json:"provider,omitempty"`
	PriorityStr string             `json:"priorityStr,omitempty"`
}

func httpRouter(name string, r *snapshot.RouterView) item {
	config := r.Router
	if config == nil {
		config = &dynamic.Router{}
	}
	return item{
		router: true, name: name, provider: providerOf(name), rule: config.Rule, service: config.Service, status: r.Status,
		priority: r.Priority, entryPoints: len(config.EntryPoints), middlewares: config.Middlewares,
		search: []string{config.Rule, name},
		show: func() any {
			tls := config.TLS
			if tls != nil && tls.Options == "" {
				named := *tls
				named.Options, tls = "default", &named
			}
			return shownRouter{r, tls, name, providerOf(name), strconv.Itoa(r.Priority)}
		},
	}
}

// shownService is an HTTP service as it is shown.
type shownService struct {
	*dynamic.Service
	snapshot.State
	UsedBy       []string          `json:"usedBy,omitempty"`
	Name         string            `json:"name,omitempty"`
	Provider     string            `json:"provider,omitempty"`
	Type         string            `json:"type,omitempty"`
	ServerStatus map[string]string `json:"serverStatus,omitempty"`
}

func httpService(name string, s *snapshot.ServiceView) item {
	i := item{name: name, provider: providerOf(name), kind: serviceKind(s.Service), status: s.Status, search: []string{name}}
	if s.Service != nil && s.LoadBalancer != nil {
		i.servers = len(s.LoadBalancer.Servers)
	}
	i.show = func() any {
		shown := showService(s)
		shown.Name, shown.Provider, shown.Type = name, providerOf(name), i.kind
		return shown
	}
	return i
}

func showService(s *snapshot.ServiceView) shownService {
	return shownService{Service: withoutSecrets(s.Service), State: s.State, UsedBy: s.UsedBy, ServerStatus: serverStatus(s.ServerStatus)}
}

func serviceKind(s *dynamic.Service) string {
	switch {
	case s == nil:
	case s.LoadBalancer != nil:
		return "loadbalancer"
	case s.Weighted != nil:
		return "weighted"
	case s.HighestRandomWeight != nil:
		return "highestrandomweight"
	case s.Mirroring != nil:
		return "mirroring"
	case s.Failover != nil:
		return "failover"
	}
	return ""
}

func serverStatus(status func() map[string]string) map[string]string {
	if status == nil {
		return nil
	}
	shown := map[string]string{}
	for url, s := range status() {
		shown[withoutPassword(url)] = s
	}
	return shown
}

type shownTCPRouter struct {
	*snapshot.TCPRouterView
	Name        string `json:"name,omitempty"`
	Provider    string `json:"provider,omitempty"`
	PriorityStr string `json:"priorityStr,omitempty"`
}

func tcpRouter(name string, r *snapshot.TCPRouterView) item {
	config := r.TCPRouter
	if config == nil {
		config = &dynamic.TCPRouter{}
	}
	return item{
		router: true, name: name, provider: providerOf(name), rule: config.Rule, service: config.Service, status: r.Status,
		priority: r.Priority, entryPoints: len(config.EntryPoints), middlewares: config.Middlewares,
		search: []string{config.Rule, name},
		show:   func() any { return shownTCPRouter{r, name, providerOf(name), strconv.Itoa(r.Priority)} },
	}
}

type shownTCPService struct {
	*snapshot.TCPServiceView
	Name         string            `json:"name,omitempty"`
	Provider     string            `json:"provider,omitempty"`
	Type         string            `json:"type,omitempty"`
	ServerStatus map[string]string `json:"serverStatus,omitempty"`
}

func tcpService(name string, s *snapshot.TCPServiceView) item {
	i := item{name: name, provider: providerOf(name), status: s.Status, search: []string{name}}
	switch {
	case s.TCPService == nil:
	case s.LoadBalancer != nil:
		i.kind, i.servers = "loadbalancer", len(s.LoadBalancer.Servers)
	case s.Weighted != nil:
		i.kind = "weighted"
	}
	i.show = func() any {
		return shownTCPService{s, name, providerOf(name), i.kind, serverStatus(s.ServerStatus)}
	}
	return i
}

type shownUDPRouter struct {
	*snapshot.UDPRouterView
	Name     string `json:"name,omitempty"`
	Provider string `json:"provider,omitempty"`
}

func udpRouter(name string, r *snapshot.UDPRouterView) item {
	i := item{router: true, name: name, provider: providerOf(name), status: r.Status, search: []string{name},
		show: func() any { return shownUDPRouter{r, name, providerOf(name)} }}
	if r.UDPRouter != nil {
		i.service, i.entryPoints = r.Service, len(r.EntryPoints)
	}
	return i
}

type shownUDPService struct {
	*snapshot.UDPServiceView
	Name     string `json:"name,omitempty"`
	Provider string `json:"provider,omitempty"`
	Type     string `json:"type,omitempty"`
}

func udpService(name string, s *snapshot.UDPServiceView) item {
	i := item{name: name, provider: providerOf(name), status: s.Status, search: []string{name}}
	switch {
	case s.UDPService == nil:
	case s.LoadBalancer != nil:
		i.kind, i.servers = "loadbalancer", len(s.LoadBalancer.Servers)
	case s.Weighted != nil:
		i.kind = "weighted"
	}
	i.show = func() any { return shownUDPService{s, name, providerOf(name), i.kind} }
	return i
}

type shownEntryPoint struct {
	*static.EntryPoint
	Name string `json:"name,omitempty"`
}

func entryPoint(name string, e *static.EntryPoint) item {
	return item{name: name, search: []string{name}, show: func() any { return shownEntryPoint{e, name} }}
}
