package snapshot

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/middlewares"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay"
	"github.com/pergola-mesh/pergola/proxy/route"
)

// tcpRouter makes a router of TCP with its place in the tables of its entry points.
func (b *Builder) tcpRouter(n *node, config *dynamic.TCPRouter, was *router) *router {
	r, state := parsed(config.Rule, was, route.ParseTCP), &n.shown.State
	points := b.pointsOf(config.EntryPoints, state, false)
	n.shown.priority = config.Priority
	if r.ruleErr == nil {
		if config.Priority == 0 {
			n.shown.priority = r.rule.Priority()
		}
		for _, w := range r.rule.Warnings() {
			state.Add(w, false)
		}
	}
	if errs := tcpUnservable(config, r); len(errs) > 0 {
		for _, err := range errs {
			state.Add(err.Error(), true)
		}
		return r
	}
	r.points = points
	var way *relay.Route
	if err := n.unreadable(); err != nil {
		way = &relay.Route{Err: exchange.Internal.With(fmt.Errorf("router %s: %w", n.name, err))}
	} else {
		var errs []error
		way, errs = b.tcpRoute(n, config, r)
		for _, err := range errs {
			state.Add(err.Error(), true)
		}
	}
	table := tcpTable
	if config.TLS != nil {
		table = tcpTLSTable
	}
	if n.unreadable() == nil {
		r.claim = b.claimOf(n, config, r.rule)
	}
	var impossible []error
	for _, at := range points {
		n.shown.using = append(n.shown.using, b.points[at].name)
		here := *way
		if text := b.torn(n, r, at); text != "" {
			here.Err = exchange.Internal.With(fmt.Errorf("router %s: %s", n.name, text))
		}
		if err := impassable(config, &b.points[at]); err != nil {
			impossible = append(impossible, err)
			here.Err = exchange.Internal.With(err)
		}
		here.Unlogged, here.Uncounted = !b.points[at].records.AccessLogs, !b.points[at].records.Metrics
		r.tables = append(r.tables, tablesOf*at+table)
		r.entries = append(r.entries, route.Entry{
			Name: n.name, Rule: r.rule, Priority: min(config.Priority, maxPriority), Rank: b.rank(n.provider()), Handler: &here,
		})
	}
	for _, err := range impossible {
		state.Add(err.Error(), len(impossible) == len(points))
	}
	r.sound = len(points) > 0 && way.Err == nil && len(impossible) == 0
	return r
}

// impassable tells why a router cannot pass TLS through at an entry point.
func impassable(config *dynamic.TCPRouter, at *point) error {
	if at.startTLS == "" || config.TLS == nil || !config.TLS.Passthrough {
		return nil
	}
	return fmt.Errorf("tls.passthrough cannot be had on entry point %s, which speaks %s (startTLS): there the server speaks before TLS begins, "+
		"so that it cannot be chosen by a name that comes in TLS; let TLS be terminated, or give the service an entry point of its own without startTLS and a router with HostSNI(`*`) and without tls", at.name, at.startTLS)
}

// tcpUnservable tells why no connection can be known to be meant for a router.
func tcpUnservable(config *dynamic.TCPRouter, r *router) (errs []error) {
	if s := config.RuleSyntax; s != "" && !strings.EqualFold(s, "v3") {
		return append(errs, fmt.Errorf("ruleSyntax %s is not supported: write the rule in v3 syntax and remove it", s))
	}
	if r.ruleErr != nil {
		return append(errs, r.ruleErr)
	}
	if hosts := r.rule.Hosts(); config.TLS == nil && len(hosts) > 0 {
		errs = append(errs, fmt.Errorf("HostSNI(`%s`) needs tls: without TLS clients ask for no name; add tls, or use HostSNI(`*`)", hosts[0]))
	}
	return errs
}

// tcpRoute finds what a router's connections go through. One that cannot be served keeps its place in the
// tables, so that its connections never fall through to a router that asks less of them.
func (b *Builder) tcpRoute(n *node, config *dynamic.TCPRouter, r *router) (way *relay.Route, errs []error) {
	way = &relay.Route{}
	for _, name := range config.Middlewares {
		g, err := b.need(aTCPMiddleware, qualify(name, n.provider()))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		way.Gates = append(way.Gates, g.value.(exchange.Gate))
	}
	service := ""
	if config.Service == "" {
		errs = append(errs, errors.New("the router has no service"))
	} else {
		service = qualify(config.Service, n.provider())
		if s, err := b.need(aTCPService, service); err != nil {
			errs = append(errs, err)
		} else {
			way.Service = s.value.(*streamService).core
		}
	}
	if asked := config.TLS; asked != nil && asked.Passthrough {
		checkPassthrough(asked, &n.shown.State)
	} else if asked != nil {
		if err := b.terminate(n, asked, r, way); err != nil {
			errs = append(errs, err)
		}
	}
	if b.options.Streams != nil {
		way.Router = b.options.Streams.StreamRouter(n.name, service)
	}
	if len(errs) > 0 {
		way.Err = exchange.Internal.With(fmt.Errorf("router %s: %w", n.name, errors.Join(errs...)))
	}
	return way, errs
}

// checkPassthrough tells of what is asked of TLS that is the server's to terminate: clients are not asked for what the
// options say.
func checkPassthrough(asked *dynamic.TCPRouterTLS, state *State) {
	for _, key := range []struct {
		set  bool
		name string
	}{{asked.Options != "", "options"}, {asked.CertResolver != "", "certResolver"}, {len(asked.Domains) > 0, "domains"}} {
		if key.set {
			state.Add(fmt.Sprintf("tls.%s does nothing with tls.passthrough: the server terminates TLS", key.name), false)
		}
	}
}

// terminate has a router's connections terminated under the options that it names, whatever name the
// client asks for.
func (b *Builder) terminate(n *node, asked *dynamic.TCPRouterTLS, r *router, way *relay.Route) error {
	certificates := &dynamic.RouterTLS{CertResolver: asked.CertResolver, Domains: asked.Domains}
	b.want(n, certificates, r)
	b.checkWanted(n, certificates, "HostSNI")
	policy, err := b.policy(asked.Options, n.provider())
	if err != nil {
		return err
	}
	edge := &identity.Edge{Fallback: policy, Open: true, Relayed: true}
	config := b.options.Identity.Config(func() *identity.Edge { return edge })
	way.TLS = func() *tls.Config { return config }
	return nil
}

// newGate makes a middleware of TCP, which all routers share.
func (b *Builder) newGate(n *node, config *dynamic.Middleware) (exchange.Gate, error) {
	return middlewares.NewTCP(middlewares.Env{
		Logger: b.options.Logger.With("middleware", n.name), Decode: decode,
	}, config.Kind, config.Config)
}

// routesOf is what the routers of an entry point say. It is relay.Routes.
type routesOf struct {
	s  *Snapshot
	at int
}

var _ relay.Routes = routesOf{}

func (r routesOf) table(i int) *route.Table { return r.s.tables[tablesOf*r.at+i] }

// Routes returns what the TCP routers of an entry point say at the moment that it is called; it returns nil
// when there are none.
func (l *Live) Routes(entryPoint string) func() relay.Routes {
	at := slices.IndexFunc(l.Snapshot().points, func(p point) bool { return p.name == entryPoint })
	return func() relay.Routes {
		s := l.current.Load()
		if at < 0 || s.tables[tablesOf*at+tcpTable].Len()+s.tables[tablesOf*at+tcpTLSTable].Len() == 0 {
			return nil
		}
		return routesOf{s, at}
	}
}
