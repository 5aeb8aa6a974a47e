package dynamic

// Configuration is one provider's dynamic configuration, by section. A nil section is empty.
type Configuration struct {
	HTTP *HTTPConfiguration `json:"http,omitempty"`
	TCP  *TCPConfiguration  `json:"tcp,omitempty"`
	UDP  *UDPConfiguration  `json:"udp,omitempty"`
	TLS  *TLSConfiguration  `json:"tls,omitempty"`
}

// HTTPConfiguration holds the HTTP objects by unqualified name.
type HTTPConfiguration struct {
	Routers           map[string]*Router           `json:"routers,omitempty"`
	Services          map[string]*Service          `json:"services,omitempty"`
	Middlewares       map[string]*Middleware       `json:"middlewares,omitempty"`
	ServersTransports map[string]*ServersTransport `json:"serversTransports,omitempty"`
}

// TCPConfiguration holds the TCP objects by unqualified name.
type TCPConfiguration struct {
	Routers           map[string]*TCPRouter           `json:"routers,omitempty"`
	Services          map[string]*TCPService          `json:"services,omitempty"`
	Middlewares       map[string]*Middleware          `json:"middlewares,omitempty"`
	ServersTransports map[string]*TCPServersTransport `json:"serversTransports,omitempty"`
}

// UDPConfiguration holds the UDP objects by unqualified name.
type UDPConfiguration struct {
	Routers  map[string]*UDPRouter  `json:"routers,omitempty"`
	Services map[string]*UDPService `json:"services,omitempty"`
}

// TLSConfiguration holds certificates, and the TLS options and stores by name.
type TLSConfiguration struct {
	Certificates []*CertAndStores       `json:"certificates,omitempty"`
	Options      map[string]*TLSOptions `json:"options,omitempty"`
	Stores       map[string]*TLSStore   `json:"stores,omitempty"`
}

// Middleware is one kind with its configuration as it was written. The middleware catalogue knows
// the kinds and decodes Config into the kind's own struct (see package load).
type Middleware struct {
	// Kind is the key as written, such as "stripPrefix"; kinds are compared without regard to case.
	Kind string `json:"kind"`
	// Config is the kind's decoded node: maps, []any, strings, bools, int64, float64. It may be
	// empty and must not be written to.
	Config map[string]any `json:"config,omitempty"`
}
