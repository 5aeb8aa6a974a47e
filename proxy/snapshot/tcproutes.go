package snapshot

import (
	"slices"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay"
	"github.com/pergola-mesh/pergola/proxy/relay/hello"
	"github.com/pergola-mesh/pergola/proxy/route"
)

// acmeALPN is the protocol of a certificate authority's challenge. RFC 8737 §6.2.
const acmeALPN = "acme-tls/1"

// Early is relay.Routes: where nobody is for TLS there is nothing to wait for.
func (r routesOf) Early(c *exchange.Conn) *relay.Route {
	if r.Secures() || r.table(tlsTable).Len() > 0 {
		return nil
	}
	return r.Plain(c)
}

// Plain is relay.Routes.
func (r routesOf) Plain(c *exchange.Conn) *relay.Route {
	e := r.table(tcpTable).MatchStream(&route.Stream{Client: c.Peer.Addr()})
	if e == nil {
		return nil
	}
	return e.Handler.(*relay.Route)
}

// Secures is relay.Routes.
func (r routesOf) Secures() bool { return r.table(tcpTLSTable).Len() > 0 }

// Secure is relay.Routes. A router of HTTP whose rule names the host comes first, as in Traefik; then
// those of TCP, and HTTP for any host before HostSNI(`*`).
func (r routesOf) Secure(c *exchange.Conn, h *hello.Hello, tcp bool) *relay.Route {
	if slices.Contains(h.Protocols, acmeALPN) && !r.s.points[r.at].acmeBypass {
		return nil // a challenge is the gateway's to answer
	}
	if !tcp && h.ServerName != "" && r.s.edges[r.at].Hosts.Lookup(h.ServerName) != nil {
		return nil
	}
	e := r.table(tcpTLSTable).MatchStream(&route.Stream{ServerName: h.ServerName, Protocols: h.Protocols, Client: c.Peer.Addr()})
	if e == nil || !tcp && e.Rule.CatchAll() && r.table(tlsTable).Len() > 0 {
		return nil
	}
	return e.Handler.(*relay.Route)
}
