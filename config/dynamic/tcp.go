package dynamic

import "time"

// TCPRouter sends the connections that its rule matches to its service.
type TCPRouter struct {
	EntryPoints []string      `json:"entryPoints,omitempty"`
	Rule        string        `json:"rule,omitempty"`
	RuleSyntax  string        `json:"ruleSyntax,omitempty"`
	Priority    int           `json:"priority,omitempty"`
	Middlewares []string      `json:"middlewares,omitempty"`
	Service     string        `json:"service,omitempty"`
	TLS         *TCPRouterTLS `json:"tls,omitempty" file:"allowEmpty"`
}

// TCPRouterTLS makes a router match TLS connections only.
type TCPRouterTLS struct {
	// Passthrough hands the encrypted stream on instead of terminating TLS.
	Passthrough  bool     `json:"passthrough"`
	Options      string   `json:"options,omitempty"`
	CertResolver string   `json:"certResolver,omitempty"`
	Domains      []Domain `json:"domains,omitempty"`
}

// TCPService is where connections end: exactly one of its kinds is set.
type TCPService struct {
	LoadBalancer *TCPLoadBalancer `json:"loadBalancer,omitempty"`
	Weighted     *TCPWeighted     `json:"weighted,omitempty"`
}

// TCPLoadBalancer shares connections among servers.
type TCPLoadBalancer struct {
	Servers          []TCPServer           `json:"servers,omitempty"`
	ServersTransport string                `json:"serversTransport,omitempty"`
	HealthCheck      *TCPServerHealthCheck `json:"healthCheck,omitempty"`
	// ProxyProtocol is the older place of the transport's key.
	ProxyProtocol *ProxyProtocol `json:"proxyProtocol,omitempty" file:"allowEmpty"`
	// TerminationDelay is the older place of the transport's key, in milliseconds.
	TerminationDelay *int `json:"terminationDelay,omitempty"`
}

// TCPServer is one backend server, host:port, spoken to over TLS when asked.
type TCPServer struct {
	Address string `json:"address,omitempty"`
	TLS     bool   `json:"tls,omitempty"`
}

// TCPServerHealthCheck probes by connecting, then optionally sends and expects bytes.
type TCPServerHealthCheck struct {
	// Protocol and User are Pergola's own.
	Protocol          string    `json:"protocol,omitempty"`
	User              string    `json:"user,omitempty"`
	Port              int       `json:"port,omitempty"`
	Send              string    `json:"send,omitempty"`
	Expect            string    `json:"expect,omitempty"`
	Interval          Duration  `json:"interval,omitempty"`
	UnhealthyInterval *Duration `json:"unhealthyInterval,omitempty"`
	Timeout           Duration  `json:"timeout,omitempty"`
}

// SetDefaults probes every 30 s with a 5 s timeout.
func (h *TCPServerHealthCheck) SetDefaults() {
	h.Interval = DefaultHealthInterval
	h.Timeout = DefaultHealthTimeout
}

// TCPWeighted shares connections among services by weight.
type TCPWeighted struct {
	Services    []WeightedService `json:"services,omitempty"`
	HealthCheck *HealthCheck      `json:"healthCheck,omitempty" file:"allowEmpty"`
}

// ProxyProtocol announces the client's address to the server in version 1 or 2.
type ProxyProtocol struct {
	Version int `description:"1 or 2." json:"version,omitempty"`
}

// SetDefaults sets version 2.
func (p *ProxyProtocol) SetDefaults() { p.Version = 2 }

// TCPServersTransport is how the gateway connects to the servers of a TCP load balancer.
type TCPServersTransport struct {
	DialTimeout   Duration `description:"To connect. 0 means no limit." json:"dialTimeout,omitempty"`
	DialKeepAlive Duration `description:"The time between two keep-alive probes. 0 means 15s, negative none." json:"dialKeepAlive,omitempty"`
	// TerminationDelay is how long one direction may make no progress once the other has ended.
	TerminationDelay Duration       `description:"How long one direction may make no progress once the other has ended. Negative means for ever. In Traefik all must end in that time." json:"terminationDelay,omitempty"`
	ProxyProtocol    *ProxyProtocol `description:"Announce clients by a PROXY header." json:"proxyProtocol,omitempty" file:"allowEmpty"`
	TLS              *TLSClient     `description:"TLS to servers." json:"tls,omitempty"`
}

// SetDefaults sets dial 30 s, keep-alive 15 s, termination 10 s.
func (t *TCPServersTransport) SetDefaults() {
	t.DialTimeout = Duration(30 * time.Second)
	t.DialKeepAlive = Duration(15 * time.Second)
	t.TerminationDelay = Duration(10 * time.Second)
}

// TLSClient is the TLS client of a TCP servers transport.
type TLSClient struct {
	ServerName         string        `description:"The SNI, and the name that certificates are verified against." json:"serverName,omitempty"`
	InsecureSkipVerify bool          `description:"Do not verify certificates. Only for tests." json:"insecureSkipVerify,omitempty"`
	RootCAs            []string      `description:"Authorities to trust instead of the system, as PEM files or PEM text." json:"rootCAs,omitempty"`
	Certificates       []Certificate `description:"Certificates shown to servers that ask for one." json:"certificates,omitempty"`
	PeerCertURI        string        `description:"The URI that a server certificate must carry." json:"peerCertURI,omitempty"`
	PeerCertSANs       []SAN         `description:"Names of which a server certificate must carry one." json:"peerCertSANs,omitempty"`
	Spiffe             *Spiffe       `description:"Know servers, and be known to them, by SPIFFE identity; no other key of TLS may stand beside it. Empty takes any identity of a trust domain whose authorities are known." json:"spiffe,omitempty" file:"allowEmpty"`
}
