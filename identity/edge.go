package identity

// Edge is an entry point as handshakes see it. It is immutable: what is bound otherwise is another Edge.
type Edge struct {
	// Hosts are the hosts that routers ask for.
	Hosts Hosts
	// Fallback is the policy of all other hosts; never nil.
	Fallback *Policy
	// Open says that some router takes requests for any host.
	Open bool
	// Relayed says that what connections carry is passed on, whatever it is.
	Relayed bool
}

// policy returns what a name in normal form is bound to, and whether a router asks for it by name.
func (e *Edge) policy(name string) (p *Policy, named bool) {
	if p := e.Hosts.Lookup(name); p != nil {
		return p, true
	}
	return e.Fallback, false
}
