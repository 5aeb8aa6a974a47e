package dynamic

// UDPRouter sends all datagrams of its entry points to its service.
type UDPRouter struct {
	EntryPoints []string `json:"entryPoints,omitempty"`
	Service     string   `json:"service,omitempty"`
}

// UDPService is where sessions end: exactly one of its kinds is set.
type UDPService struct {
	LoadBalancer *UDPLoadBalancer `json:"loadBalancer,omitempty"`
	Weighted     *UDPWeighted     `json:"weighted,omitempty"`
}

// UDPLoadBalancer shares sessions among servers.
type UDPLoadBalancer struct {
	Servers []UDPServer `json:"servers,omitempty"`
}

// UDPServer is one backend server, host:port.
type UDPServer struct {
	Address string `json:"address,omitempty"`
}

// UDPWeighted shares sessions among services by weight.
type UDPWeighted struct {
	Services []WeightedService `json:"services,omitempty"`
}
