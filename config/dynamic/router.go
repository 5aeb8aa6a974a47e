package dynamic

// Router sends the requests that its rule matches through its middlewares to its service.
type Router struct {
	// EntryPoints are the names the router listens on; empty means the default ones.
	EntryPoints []string `json:"entryPoints,omitempty"`
	// Rule is a matcher expression, such as "Host(`a.example`) && PathPrefix(`/api`)".
	Rule string `json:"rule,omitempty"`
	// RuleSyntax is "v3" or empty, which is the same.
	RuleSyntax string `json:"ruleSyntax,omitempty"`
	// Priority orders routers, higher first; 0 stands for the length of the rule.
	Priority int `json:"priority,omitempty"`
	// Middlewares run in this order, before those of the service.
	Middlewares []string `json:"middlewares,omitempty"`
	Service     string   `json:"service,omitempty"`
	// ParentRefs name the routers whose matches this router refines.
	ParentRefs    []string             `json:"parentRefs,omitempty"`
	TLS           *RouterTLS           `json:"tls,omitempty" file:"allowEmpty"`
	Observability *RouterObservability `json:"observability,omitempty"`
}

// RouterTLS makes a router answer only over TLS that the gateway terminates.
type RouterTLS struct {
	// Options is the name of a tls.options entry; empty means "default".
	Options      string   `description:"The tls.options entry; default when empty." json:"options,omitempty"`
	CertResolver string   `description:"The resolver that obtains certificates." json:"certResolver,omitempty"`
	Domains      []Domain `description:"What to obtain certificates for." json:"domains,omitempty"`
}

// Domain is a certificate's main name and its alternative ones.
type Domain struct {
	Main string   `description:"The main name." json:"main,omitempty"`
	SANs []string `description:"The other names." json:"sans,omitempty"`
}

// RouterObservability switches the records of one router. Nil takes the entry point's setting.
type RouterObservability struct {
	AccessLogs *bool `json:"accessLogs,omitempty"`
	Metrics    *bool `json:"metrics,omitempty"`
	Tracing    *bool `json:"tracing,omitempty"`
	// TraceVerbosity is "minimal" (one span) or "detailed" (a span a layer).
	TraceVerbosity string `json:"traceVerbosity,omitempty"`
}
