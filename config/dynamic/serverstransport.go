package dynamic

import "time"

// ServersTransport is how the gateway speaks to the servers of an HTTP load balancer. The keys'
// meanings are in their descriptions, which the reference of the static configuration shows too.
type ServersTransport struct {
	ServerName          string              `description:"The SNI, and the name that certificates are verified against." json:"serverName,omitempty"`
	InsecureSkipVerify  bool                `description:"Do not verify certificates. Only for tests." json:"insecureSkipVerify,omitempty"`
	RootCAs             []string            `description:"Authorities to trust instead of the system, as PEM files or PEM text." json:"rootCAs,omitempty"`
	Certificates        []Certificate       `description:"Certificates shown to servers that ask for one." json:"certificates,omitempty"`
	CipherSuites        []string            `description:"Cipher suites up to TLS 1.2, by their IANA names." json:"cipherSuites,omitempty"`
	MinVersion          string              `description:"The lowest TLS version, such as VersionTLS12." json:"minVersion,omitempty"`
	MaxVersion          string              `description:"The highest TLS version, such as VersionTLS13." json:"maxVersion,omitempty"`
	MaxIdleConnsPerHost int                 `description:"Idle connections kept to one server. 0 means 1024, negative keeps none." json:"maxIdleConnsPerHost,omitempty"`
	MaxConnsPerHost     int                 `description:"Connections to one server at a time. 0 means no cap." json:"maxConnsPerHost,omitempty" ours:"true"`
	ForwardingTimeouts  *ForwardingTimeouts `description:"Timeouts towards servers." json:"forwardingTimeouts,omitempty"`
	DisableHTTP2        bool                `description:"Do not offer HTTP/2 to servers." json:"disableHTTP2,omitempty"`
	PeerCertURI         string              `description:"The URI that a server certificate must carry." json:"peerCertURI,omitempty"`
	PeerCertSANs        []SAN               `description:"Names of which a server certificate must carry one." json:"peerCertSANs,omitempty"`
	Spiffe              *Spiffe             `description:"Know servers, and be known to them, by SPIFFE identity; no other key of TLS may stand beside it. Empty takes any identity of a trust domain whose authorities are known." json:"spiffe,omitempty" file:"allowEmpty"`
}

// SetDefaults keeps up to 1024 idle connections a server and sets the timeouts' defaults.
func (t *ServersTransport) SetDefaults() {
	t.MaxIdleConnsPerHost = 1024
	t.ForwardingTimeouts = &ForwardingTimeouts{}
	t.ForwardingTimeouts.SetDefaults()
}

// SAN is one subject alternative name. Type is "DNSName" or "URI".
type SAN struct {
	Type  string `description:"DNSName or URI." json:"type,omitempty"`
	Value string `description:"The name." json:"value,omitempty"`
}

// Certificate is a certificate chain and its key: PEM file names or PEM text.
type Certificate struct {
	CertFile string `description:"The certificate chain, as a PEM file or PEM text." json:"certFile,omitempty"`
	KeyFile  string `description:"Its key, as a PEM file or PEM text." json:"keyFile,omitempty"`
}

// Spiffe has servers authenticated by SPIFFE identity: by listed ids or by a trust domain.
type Spiffe struct {
	IDs         []string `description:"SPIFFE IDs of which a server must have one, compared exactly." json:"ids,omitempty"`
	TrustDomain string   `description:"The trust domain that a server must be of when ids is empty." json:"trustDomain,omitempty"`
}

// ForwardingTimeouts bound the steps of a request to a server. Zero means no limit.
type ForwardingTimeouts struct {
	DialTimeout           Duration `description:"To connect. 0 means no limit." json:"dialTimeout,omitempty"`
	ResponseHeaderTimeout Duration `description:"From the end of the request to the end of the head of the response. 0 means no limit." json:"responseHeaderTimeout,omitempty"`
	IdleConnTimeout       Duration `description:"How long an idle connection is kept. 0 means for good." json:"idleConnTimeout,omitempty"`
	ReadIdleTimeout       Duration `description:"Silence after which an HTTP/2 connection is pinged. 0 means never." json:"readIdleTimeout,omitempty"`
	PingTimeout           Duration `description:"How long that ping may take." json:"pingTimeout,omitempty"`
}

// SetDefaults sets Traefik's: dial 30 s, idle 90 s, ping 15 s.
func (f *ForwardingTimeouts) SetDefaults() {
	f.DialTimeout = Duration(30 * time.Second)
	f.IdleConnTimeout = Duration(90 * time.Second)
	f.PingTimeout = Duration(15 * time.Second)
}
