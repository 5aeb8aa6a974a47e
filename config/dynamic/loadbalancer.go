package dynamic

// LoadBalancer shares requests among servers.
type LoadBalancer struct {
	Servers []Server `json:"servers,omitempty"`
	// Strategy is wrr, p2c, hrw, leasttime, or ours: leastconn, random. Empty means wrr.
	Strategy           string              `json:"strategy,omitempty"`
	Sticky             *Sticky             `json:"sticky,omitempty"`
	HealthCheck        *ServerHealthCheck  `json:"healthCheck,omitempty"`
	PassiveHealthCheck *PassiveHealthCheck `json:"passiveHealthCheck,omitempty" file:"allowEmpty"`
	// PassHostHeader forwards the client's Host; true when unset.
	PassHostHeader     *bool               `json:"passHostHeader,omitempty"`
	ResponseForwarding *ResponseForwarding `json:"responseForwarding,omitempty"`
	// ServersTransport names an http.serversTransports entry; empty means the static default.
	ServersTransport string `json:"serversTransport,omitempty"`
	// SlowStart is how long the share of a server that joins, or comes back, grows from a tenth to the
	// whole; 0 gives it all at once. Ours.
	SlowStart Duration `json:"slowStart,omitempty"`
}

// SetDefaults sets the strategy, passes the Host header and flushes every 100 ms.
func (l *LoadBalancer) SetDefaults() {
	l.ResponseForwarding = &ResponseForwarding{FlushInterval: DefaultFlushInterval}
	l.Strategy = "wrr"
	l.PassHostHeader = new(true)
}

// Server is one backend server.
type Server struct {
	// URL is scheme://host:port, optionally with a path: http, https or h2c.
	URL string `json:"url,omitempty"`
	// Weight is its share; 1 when unset, 0 sends nothing.
	Weight *int `json:"weight,omitempty"`
	// PreservePath puts the path of URL before that of the request.
	PreservePath bool `json:"preservePath,omitempty"`
	// Fenced keeps new clients away; those that stick to the server still reach it.
	Fenced bool `json:"fenced,omitempty"`
}

// SetDefaults sets weight 1.
func (s *Server) SetDefaults() { s.Weight = new(1) }

// ResponseForwarding tunes how responses are passed on.
type ResponseForwarding struct {
	// FlushInterval is the longest a part of a body is held back; negative means never.
	FlushInterval Duration `json:"flushInterval,omitempty"`
}

// SetDefaults sets 100 ms.
func (r *ResponseForwarding) SetDefaults() { r.FlushInterval = DefaultFlushInterval }

// ServerHealthCheck probes every server actively.
type ServerHealthCheck struct {
	// Scheme replaces that of the server's URL; empty keeps it.
	Scheme string `json:"scheme,omitempty"`
	// Mode is "http" or "grpc"; empty means http.
	Mode   string `json:"mode,omitempty"`
	Path   string `json:"path,omitempty"`
	Method string `json:"method,omitempty"`
	// Status is the expected code; 0 accepts 2xx and 3xx.
	Status int `json:"status,omitempty"`
	// Port replaces that of the server's URL; 0 keeps it.
	Port int `json:"port,omitempty"`
	// Interval between probes of a healthy server.
	Interval Duration `json:"interval,omitempty"`
	// UnhealthyInterval between probes of an unhealthy one; Interval when unset.
	UnhealthyInterval *Duration `json:"unhealthyInterval,omitempty"`
	Timeout           Duration  `json:"timeout,omitempty"`
	// Hostname is the Host header of the probe; empty means the server's own.
	Hostname string `json:"hostname,omitempty"`
	// FollowRedirects is true when unset.
	FollowRedirects *bool             `json:"followRedirects,omitempty"`
	Headers         map[string]string `json:"headers,omitempty"`
}

// SetDefaults probes by HTTP every 30 s with a 5 s timeout.
func (h *ServerHealthCheck) SetDefaults() {
	h.Mode = "http"
	h.Interval = DefaultHealthInterval
	h.Timeout = DefaultHealthTimeout
	h.FollowRedirects = new(true)
}

// PassiveHealthCheck takes a server out for a while when requests to it fail.
type PassiveHealthCheck struct {
	// FailureWindow is how long failures count, and how long the server stays out.
	FailureWindow Duration `json:"failureWindow,omitempty"`
	// MaxFailedAttempts within the window that take the server out.
	MaxFailedAttempts int `json:"maxFailedAttempts,omitempty"`
}

// SetDefaults takes a server out for 10 s after one failure.
func (p *PassiveHealthCheck) SetDefaults() {
	p.FailureWindow = DefaultPassiveWindow
	p.MaxFailedAttempts = DefaultMaxFailedAttempts
}
