// Package static is the configuration that a process starts with: what it listens on, where dynamic
// configuration comes from, and what it records.
//
// Keys and meanings are Traefik v3's; those tagged ours are Pergola's own. A file, the environment
// and flags are layered, in that order, and every value knows where it came from. What is unstated
// takes the hardened defaults.
package static

import (
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// Duration is a time span; a bare integer is seconds.
type Duration = dynamic.Duration

// Configuration is the whole static configuration.
type Configuration struct {
	Global                Global                          `description:"Settings of the process as a whole." json:"global"`
	Limits                Limits                          `description:"Caps on the process as a whole." json:"limits" ours:"true"`
	Restart               Restart                         `description:"Restarting without loss." json:"restart" ours:"true"`
	Core                  Core                            `description:"Settings of the routing core." json:"core"`
	EntryPoints           map[string]*EntryPoint          `description:"The addresses the gateway listens on, by name. None stands for one named http on :80." json:"entryPoints,omitempty"`
	Providers             Providers                       `description:"Where dynamic configuration comes from." json:"providers"`
	ServersTransport      dynamic.ServersTransport        `description:"How servers are spoken to when a service names no transport." json:"serversTransport"`
	TCPServersTransport   *dynamic.TCPServersTransport    `description:"The same for TCP services." json:"tcpServersTransport,omitempty"`
	API                   *API                            `description:"The API and the dashboard." json:"api,omitempty" file:"allowEmpty"`
	Ping                  *Ping                           `description:"The health endpoint /ping." json:"ping,omitempty" file:"allowEmpty"`
	Metrics               *Metrics                        `description:"Metrics." json:"metrics,omitempty"`
	Tracing               *Tracing                        `description:"OpenTelemetry traces." json:"tracing,omitempty" file:"allowEmpty"`
	Log                   Log                             `description:"The operations log." json:"log"`
	AccessLog             *AccessLog                      `description:"The access log: a line a request." json:"accessLog,omitempty" file:"allowEmpty"`
	CertificatesResolvers map[string]*CertificateResolver `description:"Sources of certificates, by name." json:"certificatesResolvers,omitempty"`
	HostResolver          *HostResolver                   `description:"CNAME flattening." json:"hostResolver,omitempty" file:"allowEmpty"`
	Spiffe                *Spiffe                         `description:"The gateway's SPIFFE identity, for servers transports with spiffe." json:"spiffe,omitempty" file:"allowEmpty"`
	OCSP                  *OCSP                           `description:"OCSP stapling: certificates are shown with their authority's word that they have not been revoked. Those that demand it are, without this section too." json:"ocsp,omitempty" file:"allowEmpty"`
	Experimental          *Experimental                   `description:"Plugins." json:"experimental,omitempty"`
}

// SetDefaults sets what is so when nothing is stated.
func (c *Configuration) SetDefaults() {
	c.Core.DefaultRuleSyntax = "v3"
	c.Providers.ProvidersThrottleDuration = Duration(2 * time.Second)
	c.ServersTransport.SetDefaults()
	c.Log.SetDefaults()
}

// Global holds what concerns the process as a whole. The first two are accepted for compatibility:
// Pergola never calls home.
type Global struct {
	CheckNewVersion        bool `description:"Accepted and never acted on: Pergola does not call home." json:"checkNewVersion"`
	SendAnonymousUsage     bool `description:"Accepted and never acted on: Pergola does not call home." json:"sendAnonymousUsage"`
	NotAppendXForwardedFor bool `description:"Leave the client's address off X-Forwarded-For, on every entry point." json:"notAppendXForwardedFor"`
}

// Limits caps the process.
type Limits struct {
	MaxConnections int `description:"Client connections over all entry points. 0 stands for half of the descriptor limit (RLIMIT_NOFILE)." json:"maxConnections" ours:"true"`
}

// Restart is how a process takes the place of a running one.
type Restart struct {
	Socket string `description:"The Unix socket at which a process hands its listening sockets to the one that replaces it. Empty: restarts close them." json:"socket,omitempty" ours:"true"`
}

// Core holds settings of the routing core.
type Core struct {
	DefaultRuleSyntax string `description:"The rule grammar. Only v3 is understood." json:"defaultRuleSyntax"`
}

// HostResolver follows CNAME records of requested hosts.
type HostResolver struct {
	CNAMEFlattening bool   `description:"Follow CNAME records before matching." json:"cnameFlattening"`
	ResolvConfig    string `description:"The resolver configuration file." json:"resolvConfig"`
	ResolvDepth     int    `description:"The longest chain followed." json:"resolvDepth"`
}

// SetDefaults reads /etc/resolv.conf and follows five records.
func (h *HostResolver) SetDefaults() { h.ResolvConfig, h.ResolvDepth = "/etc/resolv.conf", 5 }

// OCSP staples revocation answers to certificates.
type OCSP struct {
	ResponderOverrides map[string]string `description:"Responders to ask instead, by the one named in certificates." json:"responderOverrides,omitempty"`
}

// Experimental holds plugins.
type Experimental struct {
	Plugins              map[string]any `description:"Plugins, by name." json:"plugins,omitempty"`
	LocalPlugins         map[string]any `description:"Plugins in the local directory, by name." json:"localPlugins,omitempty"`
	AbortOnPluginFailure bool           `description:"Do not start when a plugin fails." json:"abortOnPluginFailure"`
}
