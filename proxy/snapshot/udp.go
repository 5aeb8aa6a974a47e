package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay"
)

// udpPoint is an entry point for UDP as routers see it.
type udpPoint struct {
	name    string
	records static.Observability
}

// udpRouter is a router of UDP that was built.
type udpRouter struct {
	points []int // the numbers of the entry points that it is on
	route  *relay.Route
	sound  bool
}

func (b *Builder) udpIndex(name string) int {
	return slices.IndexFunc(b.udpPoints, func(p udpPoint) bool { return p.name == name })
}

// udpRouter makes a router of UDP.
func (b *Builder) udpRouter(n *node, config *dynamic.UDPRouter) *udpRouter {
	r, state := &udpRouter{points: b.udpPointsOf(config.EntryPoints, &n.shown.State)}, &n.shown.State
	way := &relay.Route{}
	service, err := "", n.unreadable()
	switch {
	case err != nil: // the provider's own complaints are there
		way.Err = exchange.Internal.With(err)
	case config.Service == "":
		err = errors.New("the router has no service")
	default:
		service = qualify(config.Service, n.provider())
		var s *node
		if s, err = b.need(aUDPService, service); err == nil {
			way.Service = s.value.(*streamService).core
		}
	}
	if err != nil && way.Err == nil {
		way.Err = exchange.Internal.With(err)
		state.Add(err.Error(), true)
	}
	if b.options.Streams != nil {
		way.Router = b.options.Streams.StreamRouter(n.name, service)
	}
	for _, at := range r.points {
		n.shown.using = append(n.shown.using, b.udpPoints[at].name)
	}
	for _, message := range b.udpLosses[n] {
		state.Add(message, false)
	}
	r.route, r.sound = way, err == nil && len(r.points) > 0
	return r
}

// compareUDP orders the routers of an entry point: the first has it.
func (b *Builder) compareUDP(a, o *node) int {
	return cmp.Or(cmp.Compare(b.rank(a.provider()), b.rank(o.provider())), strings.Compare(a.name, o.name))
}

// udpPointsOf gives the numbers of the entry points that a router is on: all for UDP when it names none.
func (b *Builder) udpPointsOf(names []string, state *State) []int {
	if len(names) == 0 {
		for _, p := range b.udpPoints {
			names = append(names, p.name)
		}
	}
	return numbersOf(names, state, func(name string) (int, string) {
		i := b.udpIndex(name)
		if _, tcp := b.pointIndex[name]; tcp {
			return 0, "is not for UDP"
		} else if i < 0 {
			return 0, "does not exist"
		}
		return i, ""
	})
}

// settleUDP gives each entry point for UDP its router, and has the others say that they are not.
func (b *Builder) settleUDP() {
	if b.udpRoutes != nil && !b.showing[aUDPRouter] && !b.showing[aUDPService] {
		return
	}
	all := make([][]*node, len(b.udpPoints))
	for name := range b.shown[aUDPRouter] {
		n := b.graph.nodes[id{aUDPRouter, name}]
		if r, ok := n.value.(*udpRouter); ok {
			for _, at := range r.points {
				all[at] = append(all[at], n)
			}
		}
	}
	losses := map[*node][]string{}
	for at, routers := range all {
		slices.SortFunc(routers, b.compareUDP)
		for _, n := range routers[min(1, len(routers)):] {
			losses[n] = append(losses[n], fmt.Sprintf("entry point %s can have one router, and has %s", b.udpPoints[at].name, routers[0].name))
		}
	}
	was := b.udpLosses
	b.udpLosses = losses
	for _, routers := range all {
		for _, n := range routers {
			if !slices.Equal(was[n], losses[n]) {
				n.phase = stale
			}
		}
	}
	b.udpRoutes = make([]*relay.Route, len(b.udpPoints))
	for at, routers := range all {
		for _, n := range routers {
			b.build(n)
		}
		if len(routers) > 0 {
			here := *routers[0].value.(*udpRouter).route
			here.Unlogged, here.Uncounted = !b.udpPoints[at].records.AccessLogs, !b.udpPoints[at].records.Metrics
			b.udpRoutes[at] = &here
		}
	}
}

// UDPRoute returns who has the datagrams of an entry point at the moment that it is called; it returns nil
// when nobody has.
func (l *Live) UDPRoute(entryPoint string) func() *relay.Route {
	at := slices.IndexFunc(l.Snapshot().udpPoints, func(p udpPoint) bool { return p.name == entryPoint })
	return func() *relay.Route {
		if at < 0 {
			return nil
		}
		return l.current.Load().udp[at]
	}
}
