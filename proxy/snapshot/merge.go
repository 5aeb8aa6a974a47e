package snapshot

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// source is what a provider said last.
type source struct {
	config   *dynamic.Configuration
	places   map[string]dynamic.Place
	problems []dynamic.Problem
	unread   map[id][]string // complaints about objects
	salvaged map[string]any
	// held are the objects in unread that the provider speaks of no more, but that have been in a section
	// which cannot be read now, with where.
	held map[id]dynamic.Place
}

func (b *Builder) source(provider string) *source {
	s := b.sources[provider]
	if s == nil {
		s = &source{}
		b.sources[provider] = s
	}
	return s
}

// merge takes an update in and returns the nodes whose configuration it changed.
func (b *Builder) merge(u dynamic.Update) []*node {
	s := b.source(u.Provider)
	m := merger{builder: b, provider: u.Provider, changed: map[*node]struct{}{}}
	if u.Config == nil { // the provider could read nothing: what it said of objects before stands
		u.Config, u.Places, u.Salvaged = s.config, s.places, s.salvaged
		u.Problems = append(slices.Clip(u.Problems), slices.DeleteFunc(slices.Clone(s.problems), func(p dynamic.Problem) bool { return p.Object == "" })...)
	}
	lost := m.below(u.Problems)
	diffAll(&m, s.config, u.Config)
	unread := map[id][]string{}
	for _, p := range u.Problems {
		if object, ok := parsePlace(p.Object, u.Provider); ok {
			unread[object] = append(unread[object], complaint(p))
		}
	}
	held := map[id]dynamic.Place{}
	for _, l := range lost {
		if l.config == nil && unread[l.id] == nil && s.from(l.id, l.problem.Source) {
			unread[l.id] = []string{dynamic.Problem{Object: l.problem.Object, Key: l.problem.Key, Message: l.problem.Message}.String()}
			held[l.id] = dynamic.Place{Source: l.problem.Source, Line: l.problem.Line}
		}
	}
	m.complain(s.unread, unread)
	m.salvage(s.salvaged, u.Salvaged)
	*s = source{u.Config, u.Places, u.Problems, unread, u.Salvaged, held}
	return slices.SortedFunc(maps.Keys(m.changed), func(a, b *node) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), strings.Compare(a.name, b.name))
	})
}

// lost is an object that may have been in a section which cannot be read now.
type lost struct {
	*node
	problem dynamic.Problem
}

// below finds what has been in sections that are none any more. It is not removed: nobody can tell.
func (m *merger) below(problems []dynamic.Problem) (all []lost) {
	for _, p := range problems {
		kinds := sectionKinds(p.Object)
		if len(kinds) == 0 {
			continue
		}
		for _, n := range m.builder.graph.nodes {
			if n.present() && n.provider() == m.provider && slices.Contains(kinds, n.kind) {
				all = append(all, lost{n, p})
			}
		}
	}
	return all
}

// from tells whether an object was declared in a file, or whatever place it is.
func (s *source) from(object id, file string) bool {
	at := s.place(object)
	return at.Source == "" || file == "" || at.Source == file
}

// place is where the provider declared an object.
func (s *source) place(object id) dynamic.Place {
	if at, ok := s.held[object]; ok {
		return at
	}
	return s.places[object.place()]
}

func httpOf(c *dynamic.Configuration) *dynamic.HTTPConfiguration {
	if c == nil || c.HTTP == nil {
		return &dynamic.HTTPConfiguration{}
	}
	return c.HTTP
}

func tlsOf(c *dynamic.Configuration) *dynamic.TLSConfiguration {
	if c == nil || c.TLS == nil {
		return &dynamic.TLSConfiguration{}
	}
	return c.TLS
}

func tcpOf(c *dynamic.Configuration) *dynamic.TCPConfiguration {
	if c == nil || c.TCP == nil {
		return &dynamic.TCPConfiguration{}
	}
	return c.TCP
}

func udpOf(c *dynamic.Configuration) *dynamic.UDPConfiguration {
	if c == nil || c.UDP == nil {
		return &dynamic.UDPConfiguration{}
	}
	return c.UDP
}

// certificatesOf are the certificates of a configuration by a name that does not change when others come
// and go.
func certificatesOf(c *dynamic.Configuration) map[string]*dynamic.CertAndStores {
	all := map[string]*dynamic.CertAndStores{}
	for _, certificate := range tlsOf(c).Certificates {
		all[dynamic.CertificateName(certificate.CertFile, func(name string) bool { return all[name] != nil })] = certificate
	}
	return all
}

// complaint is a provider's problem as it reads beside the object itself.
func complaint(p dynamic.Problem) string {
	if p.Key == "" {
		return p.Message
	}
	return p.Key + ": " + p.Message
}

// merger collects what an update changes.
type merger struct {
	builder  *Builder
	provider string
	changed  map[*node]struct{}
}

func (m *merger) touch(i id) *node {
	n := m.builder.graph.node(i)
	m.changed[n] = struct{}{}
	if (i.kind == aTLSOptions || i.kind == aTLSStore) && i.local() == standard {
		m.changed[m.builder.graph.node(id{i.kind, standard})] = struct{}{}
	}
	return n
}

// diffAll compares two versions of a configuration.
func diffAll(m *merger, was, now *dynamic.Configuration) {
	diff(m, aRouter, httpOf(was).Routers, httpOf(now).Routers)
	diff(m, aService, httpOf(was).Services, httpOf(now).Services)
	diff(m, aMiddleware, httpOf(was).Middlewares, httpOf(now).Middlewares)
	diff(m, aTransport, httpOf(was).ServersTransports, httpOf(now).ServersTransports)
	diff(m, aTLSOptions, tlsOf(was).Options, tlsOf(now).Options)
	diff(m, aTLSStore, tlsOf(was).Stores, tlsOf(now).Stores)
	diff(m, aCertificate, certificatesOf(was), certificatesOf(now))
	diff(m, aTCPRouter, tcpOf(was).Routers, tcpOf(now).Routers)
	diff(m, aTCPService, tcpOf(was).Services, tcpOf(now).Services)
	diff(m, aTCPMiddleware, tcpOf(was).Middlewares, tcpOf(now).Middlewares)
	diff(m, aTCPTransport, tcpOf(was).ServersTransports, tcpOf(now).ServersTransports)
	diff(m, aUDPRouter, udpOf(was).Routers, udpOf(now).Routers)
	diff(m, aUDPService, udpOf(was).Services, udpOf(now).Services)
}

// diff compares two versions of a section, by pointer first and then by content.
func diff[T any](m *merger, k kind, was, now map[string]*T) {
	for name, config := range now {
		before := was[name]
		if before == config || before != nil && config != nil && reflect.DeepEqual(before, config) {
			continue
		}
		n := m.touch(id{k, name + "@" + m.provider})
		n.config = nil
		if config != nil {
			n.config = config
		}
	}
	for name, before := range was {
		if _, kept := now[name]; !kept && before != nil {
			m.touch(id{k, name + "@" + m.provider}).config = nil
		}
	}
}

// complain gives the nodes what the provider says of them.
func (m *merger) complain(was, now map[id][]string) {
	for i, messages := range now {
		if !slices.Equal(was[i], messages) {
			m.touch(i).unread = messages
		}
	}
	for i := range was {
		if _, still := now[i]; !still {
			m.touch(i).unread = nil
		}
	}
}

// salvage gives the nodes of routers in error what the provider could read of them.
func (m *merger) salvage(was, now map[string]any) {
	give := func(object string, router any) {
		if i, ok := parsePlace(object, m.provider); ok {
			m.touch(i).salvaged = router
		}
	}
	for object, r := range now {
		if !reflect.DeepEqual(was[object], r) {
			give(object, r)
		}
	}
	for object := range was {
		if now[object] == nil {
			give(object, nil)
		}
	}
}
