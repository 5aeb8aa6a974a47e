package snapshot

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// standard is the name of the TLS options, and of the store, that stand in no provider's namespace: they
// are whichever provider's, and the gateway's own when no provider has any.
const standard = "default"

// standardOptions are the options when no provider says.
func standardOptions() *dynamic.TLSOptions {
	o := &dynamic.TLSOptions{}
	o.SetDefaults()
	return o
}

// addStandard adds the options and the store called default.
func (b *Builder) addStandard() {
	for _, k := range []kind{aTLSOptions, aTLSStore} {
		n := b.graph.node(id{k, standard})
		n.config, n.phase = standardObject{}, stale
		b.build(n)
	}
}

// standardObject is the configuration of what is called default.
type standardObject struct{}

// ofStandard makes what is called default: the one provider's that has it, or else the gateway's own.
func (b *Builder) ofStandard(n *node) (any, error) {
	var found []*node
	b.rivals[n.kind] = nil
	for _, provider := range slices.Sorted(maps.Keys(b.sources)) {
		d := b.graph.nodes[id{n.kind, standard + "@" + provider}]
		if d != nil && d.present() {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 0:
		if n.kind == aTLSOptions {
			return b.newPolicy(n, standardOptions())
		}
		return (*store)(nil), nil
	case 1:
		d, err := b.need(n.kind, found[0].name)
		if err != nil {
			return nil, err
		}
		return d.value, nil
	}
	for _, d := range found {
		b.graph.ask(d)
	}
	b.rivals[n.kind] = found
	return nil, fmt.Errorf("%s and %s are both the default: there can be one", found[0].id, found[1].id)
}

// newPolicy compiles TLS options.
func (b *Builder) newPolicy(n *node, config *dynamic.TLSOptions) (*identity.Policy, error) {
	var authorities [][]byte
	if config.ClientAuth != nil {
		for i, ca := range config.ClientAuth.CAFiles {
			text, err := b.pem(ca)
			if err != nil {
				return nil, fmt.Errorf("clientAuth.caFiles[%d]: %w", i, err)
			}
			authorities = append(authorities, []byte(text))
		}
	}
	name := n.name
	if n.local() == standard {
		name = standard
	}
	return b.options.Identity.NewPolicy(name, config, authorities)
}

// store is the default of a TLS store.
type store struct {
	certificate *identity.Certificate
	wanted      identity.Wanted
}

func (b *Builder) newStore(n *node, config *dynamic.TLSStore) (*store, error) {
	if n.local() != standard {
		n.shown.Add("there is one store, default: this one is not used", false)
	}
	s := &store{}
	if c := config.DefaultCertificate; c != nil {
		var err error
		if s.certificate, err = b.keyPair(c.CertFile, c.KeyFile); err != nil {
			return nil, fmt.Errorf("defaultCertificate: %w", err)
		}
	}
	if g := config.DefaultGeneratedCert; g != nil {
		if g.Resolver == "" || g.Domain == nil || g.Domain.Main == "" {
			return nil, errors.New("defaultGeneratedCert: needs a resolver and a domain with its main name")
		}
		b.checkResolver("defaultGeneratedCert.resolver", g.Resolver, &n.shown.State)
		s.wanted = identity.Wanted{Resolver: g.Resolver, Domains: append([]string{g.Domain.Main}, g.Domain.SANs...)}
	}
	return s, nil
}

// newCertificate reads a certificate.
func (b *Builder) newCertificate(n *node, config *dynamic.CertAndStores) (*identity.Certificate, error) {
	for _, s := range config.Stores {
		if s != standard {
			n.shown.Add(fmt.Sprintf("stores: there is one store, default, and %q is not used", s), false)
		}
	}
	return b.keyPair(config.CertFile, config.KeyFile)
}

func (b *Builder) keyPair(certFile, keyFile string) (*identity.Certificate, error) {
	chain, err := b.pem(certFile)
	if err != nil {
		return nil, fmt.Errorf("certFile: %w", err)
	}
	key, err := b.pem(keyFile)
	if err != nil {
		return nil, fmt.Errorf("keyFile: %w", err)
	}
	c, err := identity.ParseCertificate([]byte(chain), []byte(key))
	if err != nil && !isPEM(certFile) && !isPEM(keyFile) {
		err = fmt.Errorf("%s with the key %s: %w", certFile, keyFile, err)
	} else if err != nil && !isPEM(certFile) {
		err = fmt.Errorf("%s: %w", certFile, err)
	}
	return c, err
}

// checkResolver tells of a resolver that is not there: the certificates that others have are served.
func (b *Builder) checkResolver(key, name string, state *State) {
	if name != "" && !slices.Contains(b.options.Resolvers, name) {
		state.Add(fmt.Sprintf("%s %q does not exist: name one of certificatesResolvers in the static configuration", key, name), false)
	}
}

// collectCertificates gathers the certificates of all providers.
func (b *Builder) collectCertificates() {
	c := &identity.Configured{}
	for _, name := range slices.Sorted(maps.Keys(b.certificates)) {
		c.Certificates = append(c.Certificates, b.certificates[name])
	}
	if s, ok := b.graph.node(id{aTLSStore, standard}).value.(*store); ok && s != nil {
		c.Default, c.DefaultFor = s.certificate, s.wanted
	}
	b.configured = c
}

// secure finds what a router asks of TLS at an entry point, if it does, and binds its hosts there.
func (b *Builder) secure(n *node, config *dynamic.Router, r *router, at int, p *path) {
	asked := config.TLS
	if asked == nil {
		asked = b.points[at].tls
	}
	if asked == nil {
		return
	}
	p.tls = true
	if n.provider() == internal {
		return // it is for any host, and makes none known
	}
	policy, err := b.policy(asked.Options, n.provider())
	if err != nil {
		p.fail(exchange.Internal, err)
		policy = identity.Refusal(optionsName(asked.Options, n.provider()), fmt.Errorf("%s: %w", n.id, err))
	} else if policy.Name() != standard || policy.AsksClients() {
		p.policy = policy
	}
	state := &n.shown.State
	bound := binding{at, r.rule.Hosts(), !r.rule.Confined(), policy}
	for _, host := range bound.hosts {
		if text := b.bonds[at].disputes[host]; text != "" {
			state.Add(text, true)
		}
	}
	if b.bonds[at].apart[n] {
		state.Add(fmt.Sprintf("tls.options %s: the rule is not for hosts by name, and other routers of entry point %s that are for any host have other options: "+
			"requests are answered 421 unless they come over a connection for a host with these", policy.Name(), b.points[at].name), false)
	}
	if text := b.bonds[at].hiding[n]; text != "" {
		state.Add(text, false)
	}
	r.bound = append(r.bound, bound)
	b.want(n, asked, r)
	if config.TLS != nil {
		b.checkWanted(n, asked, "Host")
	}
}

// policy returns the TLS options that a router asks for, or that it has from its entry point: they are its provider's
// unless they say whose.
func (b *Builder) policy(name, provider string) (*identity.Policy, error) {
	o, err := b.need(aTLSOptions, optionsName(name, provider))
	if err != nil {
		return nil, err
	}
	return o.value.(*identity.Policy), nil
}

// optionsName is the full name of TLS options as an object of a provider gives it.
func optionsName(name, provider string) string {
	if name == "" || name == standard {
		return standard
	}
	return qualify(name, provider)
}

// want notes the certificates that a router asks a resolver for.
func (b *Builder) want(n *node, asked *dynamic.RouterTLS, r *router) {
	if asked.CertResolver == "" {
		return
	}
	if len(n.shown.wanted) == 0 {
		b.checkResolver("tls.certResolver", asked.CertResolver, &n.shown.State)
	}
	add := func(domains []string) {
		w := identity.Wanted{Resolver: asked.CertResolver, Domains: domains, Router: n.name}
		if len(domains) > 0 && !slices.ContainsFunc(n.shown.wanted, func(o identity.Wanted) bool {
			return o.Resolver == w.Resolver && slices.Equal(o.Domains, domains)
		}) {
			n.shown.wanted = append(n.shown.wanted, w)
		}
	}
	if len(asked.Domains) == 0 {
		add(r.rule.Hosts())
	}
	for _, d := range asked.Domains {
		if d.Main == "" && len(d.SANs) == 0 {
			continue
		}
		names := d.SANs
		if d.Main != "" {
			names = append([]string{d.Main}, names...)
		}
		add(names)
	}
}

// checkWanted tells of a router that asks a resolver for certificates and names no host, by the matcher or in
// tls.domains, so that it has none; of one that asks for a wildcard that the resolver cannot prove; and of one that
// names domains and no resolver. One that has the resolver from its entry point did not ask.
func (b *Builder) checkWanted(n *node, asked *dynamic.RouterTLS, matcher string) {
	resolver := asked.CertResolver
	if resolver == "" && len(asked.Domains) > 0 {
		n.shown.Add("tls.domains does nothing without tls.certResolver, which obtains certificates for them", false)
	}
	if !slices.Contains(b.options.Resolvers, resolver) {
		return
	}
	for _, w := range n.shown.wanted {
		for _, name := range w.Domains {
			if strings.HasPrefix(name, "*.") && !slices.Contains(b.options.Wildcards, resolver) {
				n.shown.Add(fmt.Sprintf("tls.certResolver %s obtains no certificate for %s: a wildcard can be proven by dnsChallenge alone, which the resolver does not have", resolver, name), false)
			}
		}
	}
	if len(n.shown.wanted) > 0 {
		return
	}
	n.shown.Add(fmt.Sprintf("tls.certResolver %s obtains no certificate for the router, which names no host: name some by %s in its rule, or in tls.domains", resolver, matcher), false)
}

// Wanted are the certificates that resolvers should have, in a stable order: those of routers that are
// served, and the default one.
func (s *Snapshot) Wanted() []identity.Wanted {
	var all []identity.Wanted
	for _, k := range []kind{aRouter, aTCPRouter} {
		for _, name := range slices.Sorted(maps.Keys(s.shown[k])) {
			if o := s.shown[k][name]; o.Status != Disabled {
				all = append(all, o.wanted...)
			}
		}
	}
	if s.configured != nil && len(s.configured.DefaultFor.Domains) > 0 {
		all = append(all, s.configured.DefaultFor)
	}
	return all
}

// Certificates are those of tls.certificates. Do not change the list.
func (s *Snapshot) Certificates() []*identity.Certificate {
	if s.configured == nil {
		return nil
	}
	return s.configured.Certificates
}
