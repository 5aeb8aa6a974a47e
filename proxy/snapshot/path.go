package snapshot

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// branch is where a router's requests of one entry point go: the handler in the route table.
type branch struct {
	next                exchange.Handler
	scope               exchange.Scope
	unlogged, uncounted bool
	// policy is the one that connections over TLS must have been made under; nil when that of the host is
	// enough.
	policy *identity.Policy
}

// Handle notes the router and goes on.
func (r *branch) Handle(x *exchange.Exchange) error {
	x.Record.Router = r.scope
	if r.unlogged || r.uncounted {
		x.Record.Unlogged, x.Record.Uncounted = r.unlogged, r.uncounted
	}
	return r.next.Handle(x)
}

// broken answers for a router that cannot be served.
type broken struct{ err error }

func (b *broken) Handle(*exchange.Exchange) error { return b.err }

// path is what a router's requests go through.
type path struct {
	links   []exchange.Middleware
	service exchange.Handler
	name    string // of the service
	kind    exchange.Kind
	errs    []error
	tls     bool             // it answers over TLS, and only there
	policy  *identity.Policy // as in branch
}

// fail notes why requests cannot be served. What is worst decides what they are answered.
func (p *path) fail(kind exchange.Kind, err error) {
	if len(p.errs) == 0 || kind == exchange.Internal {
		p.kind = kind
	}
	if !slices.ContainsFunc(p.errs, func(e error) bool { return e.Error() == err.Error() }) {
		p.errs = append(p.errs, err)
	}
}

// path finds the service and the middlewares of a router, after those of its entry point.
func (b *Builder) path(provider string, config *dynamic.Router, first []string) *path {
	p := &path{}
	for _, name := range slices.Concat(first, config.Middlewares) {
		m, err := b.middleware(qualify(name, provider))
		if err != nil {
			p.fail(exchange.Internal, err)
		}
		p.links = append(p.links, m)
	}
	if config.Service == "" {
		p.fail(exchange.NoEndpoint, errors.New("the router has no service"))
		return p
	}
	p.name = qualify(config.Service, provider)
	s, err := b.service(p.name)
	if err != nil {
		p.fail(exchange.NoEndpoint, err)
		return p
	}
	p.service = s.handler
	return p
}

// handler puts a path together.
func (p *path) handler(router string) exchange.Handler {
	if len(p.errs) > 0 {
		return &broken{p.kind.With(fmt.Errorf("router %s: %w", router, errors.Join(p.errs...)))}
	}
	return exchange.Chain(p.service, p.links...)
}

// branch makes a path the way of a router's requests of one entry point.
func (b *Builder) branch(n *node, at *point, config *dynamic.Router, p *path) *branch {
	logs, metrics := at.records.AccessLogs, at.records.Metrics
	if o := config.Observability; o != nil {
		logs, metrics = or(o.AccessLogs, logs), or(o.Metrics, metrics)
	}
	if strings.HasSuffix(p.name, "@"+internal) {
		logs, metrics = logs && b.options.LogInternals, metrics && b.options.CountInternals
	}
	r := &branch{next: p.handler(n.name), unlogged: !logs, uncounted: !metrics, policy: p.policy}
	if b.options.Routers != nil {
		r.scope = b.options.Routers.Router(n.name, p.name)
	}
	return r
}

// or is *p, or otherwise when it is not set.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
