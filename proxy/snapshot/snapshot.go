package snapshot

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay"
	"github.com/pergola-mesh/pergola/proxy/route"
)

// Snapshot is all that requests need, at one moment. It is immutable and safe for concurrent use.
type Snapshot struct {
	tables []*route.Table   // tablesOf each entry point, as in Builder.points
	edges  []*identity.Edge // by entry point
	udp    []*relay.Route   // by entry point for UDP, as in Builder.udpPoints; nil for none

	configured *identity.Configured

	options   *Options
	points    []point
	udpPoints []udpPoint
	shown     [kindCount]map[string]*object
	problems  []dynamic.Problem
	view      func() *View

	// retired are the services that no longer take part. The builder's goroutine alone touches it.
	retired []retiree
}

// object is what the View shows of a node. It does not change once the node is built.
type object struct {
	State
	unread   int  // how many of Errors are the provider's own complaints
	kept     bool // config is not the provider's newest, in which something is wrong
	config   any
	priority int               // of a router
	using    []string          // entry points of a router
	wanted   []identity.Wanted // by a router
	status   func() map[string]string
}

// newSnapshot makes the snapshot of a builder that has been told nothing.
func newSnapshot(b *Builder) *Snapshot {
	s := &Snapshot{options: &b.options, points: b.points, tables: make([]*route.Table, tablesOf*len(b.points)),
		udpPoints: b.udpPoints, udp: make([]*relay.Route, len(b.udpPoints)), edges: b.edges(), configured: b.configured}
	for i := range s.tables {
		s.tables[i] = route.NewTable(nil)
	}
	for k := range b.shown {
		s.shown[k] = maps.Clone(b.shown[k])
	}
	s.view = sync.OnceValue(s.look)
	return s
}

// next makes the snapshot after s, with what the builder changed.
func (s *Snapshot) next(b *Builder, problems []dynamic.Problem) *Snapshot {
	n := &Snapshot{
		options: s.options, points: s.points, udpPoints: s.udpPoints, tables: slices.Clone(s.tables), edges: b.edges(), shown: s.shown,
		configured: b.configured, problems: problems, retired: slices.Concat(s.retired, b.retired), udp: b.udpRoutes,
	}
	for i, e := range b.edits {
		if len(e.remove)+len(e.put) > 0 {
			n.tables[i] = s.tables[i].Update(e.remove, e.put)
		}
	}
	for k, changed := range b.showing {
		if changed {
			n.shown[k] = maps.Clone(b.shown[k])
		}
	}
	n.view = sync.OnceValue(n.look)
	return n
}

// release gives up what this snapshot and those before it replaced.
func (s *Snapshot) release() {
	for _, old := range s.retired {
		old.close()
	}
	s.retired = nil
}

// View describes the snapshot. It is made when first asked for.
func (s *Snapshot) View() *View { return s.view() }

// Handler returns the handler of an entry point's requests; nil when there is no such entry point. It
// fails with exchange.NotFound when no router matches.
func (s *Snapshot) Handler(entryPoint string) exchange.Handler {
	i := slices.IndexFunc(s.points, func(p point) bool { return p.name == entryPoint })
	if i < 0 {
		return nil
	}
	return exchange.HandlerFunc(func(x *exchange.Exchange) error { return s.handle(i, x) })
}

// An entry point has a table of the routers that answer on plaintext and, behind it, one of those that
// answer over TLS; then those of TCP.
const (
	plainTable = iota
	tlsTable
	// Those of connections without TLS, and of those that begin with a ClientHello.
	tcpTable
	tcpTLSTable
	tablesOf
)

func (s *Snapshot) handle(i int, x *exchange.Exchange) error {
	if x.Conn.TLS != nil {
		return s.handleTLS(i, x)
	}
	e := s.tables[tablesOf*i+plainTable].Match(x)
	if e == nil {
		return exchange.NotFound
	}
	return e.Handler.(*branch).Handle(x)
}

var (
	errHost   = errors.New("the host is bound to other TLS options than the connection was made under")
	errRouter = errors.New("the router asks for other TLS options than the connection was made under")
)

// handleTLS answers a request over TLS, if the connection was made under the policy that the host is bound
// to and, whatever the host, under the one that the router asks for: else a client could get round a
// policy by asking for another name in its handshake than in its request.
func (s *Snapshot) handleTLS(i int, x *exchange.Exchange) error {
	session, _ := x.Conn.Session.(*identity.Session)
	policy := session.Admit(s.edges[i], x.Conn.TLS, x.Request.Hostname())
	if policy == nil {
		return exchange.Misdirected.With(errHost)
	}
	e := s.tables[tablesOf*i+tlsTable].Match(x)
	if e == nil {
		return exchange.NotFound
	}
	b := e.Handler.(*branch)
	if b.policy != nil && b.policy != policy {
		x.Record.Router = b.scope
		return exchange.Misdirected.With(errRouter)
	}
	return b.Handle(x)
}
