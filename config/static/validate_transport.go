package static

// stated is whether a key below an entry point is there.
type stated struct {
	there bool
	key   string
}

// misplaced notes what is stated of an entry point that can do nothing with it.
func (l *Loaded) misplaced(key, why string, all ...stated) {
	for _, s := range all {
		if s.there {
			l.problem(key+"."+s.key, "%s", why)
		}
	}
}

// transports checks that an entry point says nothing of ours for the transport that it does not have. What Traefik
// takes there too is told of by vain.
func (l *Loaded) transports(key string, e *EntryPoint) {
	written := func(name string) stated { return stated{l.stated(key + "." + name), name} }
	if e.Protocol() != "udp" {
		l.misplaced(key, "is for an entry point on a UDP address, such as :53/udp", written("udp.maxSessions"), written("udp.maxSessionsPerClient"))
		return
	}
	l.misplaced(key, "is for connections of TCP; of UDP, udp.maxSessions and udp.maxSessionsPerClient bound the sessions",
		written("limits.maxConnections"), written("limits.maxConnectionsPerClient"))
	l.misplaced(key, "is for connections of TCP; of UDP, udp.timeout ends sessions", written("tcp.idleTimeout"))
}
