package dynamic

import "time"

// ServersTransport is how the gateway speaks to the servers of an HTTP load balancer.
type ServersTransport struct {
	// ServerName is the SNI and the name the certificate is verified against.
	ServerName         string `json:"serverName,omitempty"`
	InsecureSkipVerify bool   `json:"insecureSkipVerify,omitempty"`
	// RootCAs are PEM file names or PEM text; empty means the system's.
	RootCAs []string `json:"rootCAs,omitempty"`
	// Certificates are presented to servers that ask for one.
	Certificates []Certificate `json:"certificates,omitempty"`
	// CipherSuites by their IANA names, for TLS 1.2 and below.
	CipherSuites []string `json:"cipherSuites,omitempty"`
	// MinVersion and MaxVersion are such as "VersionTLS12"; empty means the default.
	MinVersion string `json:"minVersion,omitempty"`
	MaxVersion string `json:"maxVersion,omitempty"`
	// MaxIdleConnsPerHost bounds the idle connections kept to one server; 0 means the default of
	// 200, negative keeps none.
	MaxIdleConnsPerHost int `json:"maxIdleConnsPerHost,omitempty"`
	// MaxConnsPerHost bounds all connections to one server; 0 means no limit. Pergola's own.
	MaxConnsPerHost    int                 `json:"maxConnsPerHost,omitempty"`
	ForwardingTimeouts *ForwardingTimeouts `json:"forwardingTimeouts,omitempty"`
	DisableHTTP2       bool                `json:"disableHTTP2,omitempty"`
	// PeerCertURI is the URI the server's certificate must carry as a SAN.
	PeerCertURI string `json:"peerCertURI,omitempty"`
	// PeerCertSANs are the names of which the server's certificate must carry one.
	PeerCertSANs []SAN   `json:"peerCertSANs,omitempty"`
	Spiffe       *Spiffe `json:"spiffe,omitempty" file:"allowEmpty"`
}

// SetDefaults keeps up to 200 idle connections a server and sets the timeouts' defaults.
func (t *ServersTransport) SetDefaults() {
	t.MaxIdleConnsPerHost = 200
	t.ForwardingTimeouts = &ForwardingTimeouts{}
	t.ForwardingTimeouts.SetDefaults()
}

// SAN is one subject alternative name. Type is "DNSName" or "URI".
type SAN struct {
	Type  string `json:"type,omitempty"`
	Value string `json:"value,omitempty"`
}

// Certificate is a certificate chain and its key: PEM file names or PEM text.
type Certificate struct {
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
}

// Spiffe has servers authenticated by SPIFFE identity: by listed ids or by a trust domain.
type Spiffe struct {
	IDs         []string `json:"ids,omitempty"`
	TrustDomain string   `json:"trustDomain,omitempty"`
}

// ForwardingTimeouts bound the steps of a request to a server. Zero means no limit.
type ForwardingTimeouts struct {
	DialTimeout Duration `json:"dialTimeout,omitempty"`
	// ResponseHeaderTimeout runs from the end of the request to the end of the response's head.
	ResponseHeaderTimeout Duration `json:"responseHeaderTimeout,omitempty"`
	IdleConnTimeout       Duration `json:"idleConnTimeout,omitempty"`
	// ReadIdleTimeout is the silence after which an HTTP/2 connection is pinged.
	ReadIdleTimeout Duration `json:"readIdleTimeout,omitempty"`
	// PingTimeout is how long that ping may take before the connection is closed.
	PingTimeout Duration `json:"pingTimeout,omitempty"`
}

// SetDefaults sets Traefik's: dial 30 s, idle 90 s, ping 15 s.
func (f *ForwardingTimeouts) SetDefaults() {
	f.DialTimeout = Duration(30 * time.Second)
	f.IdleConnTimeout = Duration(90 * time.Second)
	f.PingTimeout = Duration(15 * time.Second)
}
