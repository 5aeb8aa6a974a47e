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
	unread   map[id][]string // complaints about single objects
	salvaged map[string]*dynamic.Router
	// certificates are the places of certificates by name.
	certificates map[string]string
}

func (b *Builder) source(provider string) *source {
	s := b.sources[provider]
	if s == nil {
		s = &source{}
		b.sources[provider] = s
	}
	return s
}

// problem is what is wrong with an object, where the provider declared it.
func (s *source) problem(provider, object, message string) dynamic.Problem {
	at := s.places[object]
	if at.Source == "" {
		at.Source = provider
	}
	return dynamic.Problem{Source: at.Source, Line: at.Line, Object: object, Message: message}
}

// merge takes an update in and returns the nodes whose configuration it changed.
func (b *Builder) merge(u dynamic.Update) []*node {
	s := b.source(u.Provider)
	m := merger{builder: b, provider: u.Provider, changed: map[*node]struct{}{}}
	if u.Config != nil { // else the provider could read nothing: what it said before stands
		was, now := httpOf(s.config), httpOf(u.Config)
		diff(&m, aRouter, was.Routers, now.Routers)
		diff(&m, aService, was.Services, now.Services)
		diff(&m, aMiddleware, was.Middlewares, now.Middlewares)
		diff(&m, aTransport, was.ServersTransports, now.ServersTransports)
		tlsWas, tlsNow := tlsOf(s.config), tlsOf(u.Config)
		diff(&m, aTLSOptions, tlsWas.Options, tlsNow.Options)
		diff(&m, aTLSStore, tlsWas.Stores, tlsNow.Stores)
		certificatesWas, _ := certificatesOf(s.config)
		certificatesNow, places := certificatesOf(u.Config)
		diff(&m, aCertificate, certificatesWas, certificatesNow)
		tcpWas, tcpNow := tcpOf(s.config), tcpOf(u.Config)
		diff(&m, aTCPRouter, tcpWas.Routers, tcpNow.Routers)
		diff(&m, aTCPService, tcpWas.Services, tcpNow.Services)
		diff(&m, aTCPMiddleware, tcpWas.Middlewares, tcpNow.Middlewares)
		diff(&m, aTCPTransport, tcpWas.ServersTransports, tcpNow.ServersTransports)
		udpWas, udpNow := udpOf(s.config), udpOf(u.Config)
		diff(&m, aUDPRouter, udpWas.Routers, udpNow.Routers)
		diff(&m, aUDPService, udpWas.Services, udpNow.Services)
		s.config, s.certificates = u.Config, places
	}
	unread := map[id][]string{}
	for _, p := range u.Problems {
		if object, ok := parsePlace(p.Object, u.Provider); ok {
			unread[object] = append(unread[object], complaint(p))
		}
	}
	m.complain(s.unread, unread)
	m.salvage(s.salvaged, u.Salvaged)
	s.places, s.problems, s.unread, s.salvaged = u.Places, u.Problems, unread, u.Salvaged
	return slices.SortedFunc(maps.Keys(m.changed), func(a, b *node) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), strings.Compare(a.name, b.name))
	})
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
func (m *merger) salvage(was, now map[string]*dynamic.Router) {
	for name, r := range now {
		if !reflect.DeepEqual(was[name], r) {
			m.touch(id{aRouter, name + "@" + m.provider}).salvaged = r
		}
	}
	for name := range was {
		if now[name] == nil {
			m.touch(id{aRouter, name + "@" + m.provider}).salvaged = nil
		}
	}
}
