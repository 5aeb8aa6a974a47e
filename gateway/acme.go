package gateway

import (
	"bytes"
	"context"
	"maps"
	"math"
	"slices"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// challengePath is where certificate authorities look for the answers to HTTP-01. RFC 8555 §8.3.
const challengePath = "/.well-known/acme-challenge/"

// Challenges answers HTTP-01: it shows a certificate authority that the gateway serves a host.
type Challenges struct {
	// Answer returns what proves it for a host and the authority's token.
	Answer func(ctx context.Context, host, token string) (proof string, ok bool)
}

// Handle is exchange.Handler.
func (c *Challenges) Handle(x *exchange.Exchange) error {
	r := &x.Request
	token, ok := bytes.CutPrefix(r.Path, []byte(challengePath))
	if !ok || r.Method != "GET" && r.Method != "HEAD" {
		return exchange.NotFound
	}
	proof, ok := c.Answer(x.Context(), string(r.Hostname()), string(token))
	if !ok {
		return exchange.NotFound
	}
	x.Respond(200, "text/plain; charset=utf-8", []byte(proof))
	return nil
}

// challengeRouters are the routers to acme-http@internal, on every entry point for plaintext HTTP but the
// internal one: whichever of them port 80 leads to, names can be proven there. Where routers are for TLS
// alone it is none unless it is named: authorities begin in plaintext, and a router for any host would
// open the entry point to server names that nobody asked for. They stand before all others, but where
// allowACMEByPass lets a user's router do the answering.
func challengeRouters(c *static.Configuration) map[string]*dynamic.Router {
	named := map[string]bool{}
	for _, r := range c.CertificatesResolvers {
		if r != nil && r.ACME != nil && r.ACME.HTTPChallenge != nil {
			named[r.ACME.HTTPChallenge.EntryPoint] = true
		}
	}
	routers := map[string]*dynamic.Router{}
	if len(named) == 0 {
		return routers
	}
	for _, name := range slices.Sorted(maps.Keys(c.EntryPoints)) {
		e := c.EntryPoints[name]
		if internal := name == static.DefaultInternalEntryPoint; e.Protocol() != "tcp" || e.StartTLS != nil || (internal || e.HTTP.TLS != nil) && !named[name] {
			continue
		}
		id, priority := "acme-http", math.MaxInt
		if e.AllowACMEByPass {
			id, priority = "acme-http-bypass", 0
		}
		if routers[id] == nil {
			routers[id] = &dynamic.Router{Rule: "PathPrefix(`" + challengePath + "`)", Service: "acme-http@internal", Priority: priority}
		}
		routers[id].EntryPoints = append(routers[id].EntryPoints, name)
	}
	return routers
}
