package static

import "time"

// Providers are the sources of dynamic configuration.
type Providers struct {
	ProvidersThrottleDuration Duration `description:"The shortest time between two applied configurations." json:"providersThrottleDuration"`
	Precedence                []string `description:"Providers in the order in which their routers win ties of priority." json:"precedence,omitempty"`

	File              *File          `description:"Files." json:"file,omitempty"`
	ConsulCatalog     *ConsulCatalog `description:"The Consul catalogue." json:"consulCatalog,omitempty" file:"allowEmpty"`
	Consul            *Consul        `description:"Consul's key-value store." json:"consul,omitempty" file:"allowEmpty"`
	KubernetesIngress map[string]any `description:"Kubernetes Ingress." json:"kubernetesIngress,omitempty"`
	KubernetesCRD     map[string]any `description:"Kubernetes IngressRoute." json:"kubernetesCRD,omitempty"`
	KubernetesGateway map[string]any `description:"Kubernetes Gateway API." json:"kubernetesGateway,omitempty"`
	HTTP              map[string]any `description:"An HTTP endpoint." json:"http,omitempty"`
	Rest              *Rest          `description:"Configuration put through the API." json:"rest,omitempty" file:"allowEmpty"`
}

// File is the file provider: one file, or a directory and all below it.
type File struct {
	Filename                  string `description:"One file, .toml, .yaml or .yml." json:"filename"`
	Directory                 string `description:"All .toml, .yaml and .yml files of a directory and those below it." json:"directory"`
	Watch                     bool   `description:"Follow changes." json:"watch"`
	DebugLogGeneratedTemplate bool   `description:"Log what templates produce, at level DEBUG. It may hold secrets." json:"debugLogGeneratedTemplate"`
	// Static is the path of the static configuration file, which may be one of these.
	Static string `file:"-" json:"-"`
}

// SetDefaults follows changes.
func (f *File) SetDefaults() { f.Watch = true }

// Rest is the REST provider.
type Rest struct {
	Insecure bool `description:"Serve it on the entry point traefik, without authentication." json:"insecure"`
}

// ConsulCatalog reads services from the Consul catalogue.
type ConsulCatalog struct {
	Endpoint          ConsulEndpoint `description:"The Consul agent." json:"endpoint"`
	Prefix            string         `description:"The prefix of tags that are configuration." json:"prefix"`
	RefreshInterval   Duration       `description:"The time between two readings." json:"refreshInterval"`
	RequireConsistent bool           `description:"Read consistently, from the leader." json:"requireConsistent"`
	Stale             bool           `description:"Accept stale answers." json:"stale"`
	Cache             bool           `description:"Use the agent's cache." json:"cache"`
	ExposedByDefault  bool           `description:"Expose services that do not say." json:"exposedByDefault"`
	DefaultRule       string         `description:"The template of the rule of services without one." json:"defaultRule"`
	Constraints       string         `description:"An expression over tags that selects services." json:"constraints"`
	ConnectAware      bool           `description:"Speak Consul Connect." json:"connectAware"`
	ConnectByDefault  bool           `description:"Take services for Connect services unless they say otherwise." json:"connectByDefault"`
	ServiceName       string         `description:"The gateway's own name in the catalogue." json:"serviceName"`
	Watch             bool           `description:"Follow events instead of reading at intervals." json:"watch"`
	StrictChecks      []string       `description:"Health states in which a service gets traffic." json:"strictChecks,omitempty"`
	Namespaces        []string       `description:"Namespaces (Consul Enterprise)." json:"namespaces,omitempty"`
}

// SetDefaults sets Traefik's.
func (c *ConsulCatalog) SetDefaults() {
	c.Prefix, c.ServiceName = "traefik", "traefik"
	c.RefreshInterval = Duration(15 * time.Second)
	c.ExposedByDefault = true
	c.DefaultRule = "Host(`{{ normalize .Name }}`)"
	c.StrictChecks = []string{"passing", "warning"}
}

// ConsulEndpoint is how to reach a Consul agent.
type ConsulEndpoint struct {
	Address          string          `description:"Its address, host:port." json:"address"`
	Scheme           string          `description:"http or https." json:"scheme"`
	Datacenter       string          `description:"The data centre; the agent's when empty." json:"datacenter"`
	Token            string          `description:"The ACL token." json:"token" secret:"true"`
	TLS              *ClientTLS      `description:"TLS to the agent." json:"tls,omitempty"`
	HTTPAuth         *ConsulHTTPAuth `description:"Basic authentication." json:"httpAuth,omitempty"`
	EndpointWaitTime Duration        `description:"How long a blocking query may wait." json:"endpointWaitTime"`
}

// ConsulHTTPAuth is a user and password.
type ConsulHTTPAuth struct {
	Username string `description:"User." json:"username"`
	Password string `description:"Password." json:"password" secret:"true"`
}

// Consul reads configuration from Consul's key-value store.
type Consul struct {
	Endpoints  []string   `description:"The agents' addresses." json:"endpoints,omitempty"`
	RootKey    string     `description:"The key below which the configuration is." json:"rootKey"`
	Token      string     `description:"The ACL token." json:"token" secret:"true"`
	TLS        *ClientTLS `description:"TLS to the agents." json:"tls,omitempty"`
	Namespaces []string   `description:"Namespaces (Consul Enterprise)." json:"namespaces,omitempty"`
}

// SetDefaults sets Traefik's.
func (c *Consul) SetDefaults() { c.Endpoints, c.RootKey = []string{"127.0.0.1:8500"}, "traefik" }

// ClientTLS is TLS towards a service that Pergola itself uses. Files or PEM text.
type ClientTLS struct {
	CA                 string `description:"The authority that signs the service's certificate." json:"ca"`
	Cert               string `description:"The certificate shown to the service." json:"cert"`
	Key                string `description:"Its key." json:"key" secret:"true"`
	InsecureSkipVerify bool   `description:"Do not verify. Only for tests." json:"insecureSkipVerify"`
}
