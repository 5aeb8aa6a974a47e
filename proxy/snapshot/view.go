package snapshot

import (
	"slices"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
)

// View describes a running configuration to people and tools: what is there, what is wrong with it,
// what uses what. It is made once per snapshot, or when first asked for, and never changed after.
// Keys are qualified names ("web@file"); the JSON is that of Traefik v3's API.
type View struct {
	Routers        map[string]*RouterView        `json:"routers,omitempty"`
	Middlewares    map[string]*MiddlewareView    `json:"middlewares,omitempty"`
	Services       map[string]*ServiceView       `json:"services,omitempty"`
	TCPRouters     map[string]*TCPRouterView     `json:"tcpRouters,omitempty"`
	TCPMiddlewares map[string]*MiddlewareView    `json:"tcpMiddlewares,omitempty"`
	TCPServices    map[string]*TCPServiceView    `json:"tcpServices,omitempty"`
	UDPRouters     map[string]*UDPRouterView     `json:"udpRouters,omitempty"`
	UDPServices    map[string]*UDPServiceView    `json:"udpServices,omitempty"`
	EntryPoints    map[string]*static.EntryPoint `json:"-"`
	// Providers are the kinds of provider that are on, in Traefik's spelling ("File", "ConsulCatalog").
	Providers []string `json:"-"`
	Features  Features `json:"-"`
	// Problems are what is wrong in the configuration, of every provider, in a stable order.
	Problems []dynamic.Problem `json:"-"`
}

// Features says which records are kept. Tracing and Metrics name the exporter ("Prometheus"); empty
// means off.
type Features struct {
	Tracing   string `json:"tracing"`
	Metrics   string `json:"metrics"`
	AccessLog bool   `json:"accessLog"`
}

// Status is how an object fares.
type Status string

// The statuses. What is not enabled says why in State.Errors.
const (
	Enabled  Status = "enabled"
	Warning  Status = "warning"  // it works, but not all of it
	Disabled Status = "disabled" // it is left out
)

// State is what is known of any object beside its configuration.
type State struct {
	Errors []string `json:"error,omitempty"`
	Status Status   `json:"status,omitempty"`
}

// Add notes what is wrong with the object, once; disable says that it is left out because of it.
func (s *State) Add(message string, disable bool) {
	if !slices.Contains(s.Errors, message) {
		s.Errors = append(s.Errors, message)
	}
	switch {
	case disable:
		s.Status = Disabled
	case s.Status != Disabled:
		s.Status = Warning
	}
}

// RouterView is an HTTP router. The embedded configurations, here and below, are not to be changed, and nil for
// an object that could not be decoded. They are the providers' own, but for those of routers: these have the
// entry points they are on, and their middlewares by qualified name.
type RouterView struct {
	*dynamic.Router
	// Priority is the one in force: the rule's length when the configuration gives none.
	Priority int `json:"priority,omitempty"`
	State
	// Using are the entry points the router is on, sorted.
	Using []string `json:"using,omitempty"`
}

// MiddlewareView is a middleware, of HTTP or TCP.
type MiddlewareView struct {
	*dynamic.Middleware
	State
	// UsedBy are the routers, by qualified name, sorted.
	UsedBy []string `json:"usedBy,omitempty"`
}

// ServiceView is an HTTP service. One of the gateway's own ("api@internal") has no kind set.
type ServiceView struct {
	*dynamic.Service
	State
	// UsedBy are the routers, by qualified name, sorted.
	UsedBy []string `json:"usedBy,omitempty"`
	// ServerStatus returns "UP" or "DOWN" by server URL, as of now; nil when nothing checks the servers.
	ServerStatus func() map[string]string `json:"-"`
}

// TCPRouterView is a TCP router.
type TCPRouterView struct {
	*dynamic.TCPRouter
	// Priority is the one in force.
	Priority int `json:"priority,omitempty"`
	State
	Using []string `json:"using,omitempty"`
}

// TCPServiceView is a TCP service.
type TCPServiceView struct {
	*dynamic.TCPService
	State
	UsedBy []string `json:"usedBy,omitempty"`
	// ServerStatus is that of ServiceView, by server address.
	ServerStatus func() map[string]string `json:"-"`
}

// UDPRouterView is a UDP router.
type UDPRouterView struct {
	*dynamic.UDPRouter
	State
	Using []string `json:"using,omitempty"`
}

// UDPServiceView is a UDP service.
type UDPServiceView struct {
	*dynamic.UDPService
	State
	UsedBy []string `json:"usedBy,omitempty"`
}
