package snapshot

import (
	"cmp"
	"slices"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// Report is what became of an update.
type Report struct {
	Provider string
	// Changed says that there is a new snapshot.
	Changed bool
	// Built counts the objects that were made anew.
	Built Counts
	// Problems are all that is wrong in the snapshot, whichever provider it is from, in a stable order.
	Problems []dynamic.Problem
	// Kept is the number of objects in error whose last good version is in force.
	Kept int
}

// Counts counts objects by kind: those that have a name and serve requests or streams.
type Counts struct{ Routers, Services, Middlewares, ServersTransports int }

func (c *Counts) add(k kind) {
	counts := [kindCount]*int{
		aRouter: &c.Routers, aService: &c.Services, aMiddleware: &c.Middlewares, aTransport: &c.ServersTransports,
		aTCPRouter: &c.Routers, aTCPService: &c.Services, aTCPMiddleware: &c.Middlewares, aTCPTransport: &c.ServersTransports,
		aUDPRouter: &c.Routers, aUDPService: &c.Services,
	}
	if counts[k] != nil {
		*counts[k]++
	}
}

// problem is what is wrong with an object, where its provider declared it.
func (b *Builder) problem(n *node, message string) dynamic.Problem {
	if n.name == defaultTransport {
		key := map[kind]string{aTransport: "serversTransport", aTCPTransport: "tcpServersTransport"}[n.kind]
		return dynamic.Problem{Source: "static configuration", Object: key, Message: message}
	}
	at := b.source(n.provider()).place(n.id)
	if at.Source == "" {
		at.Source = n.provider()
	}
	return dynamic.Problem{Source: at.Source, Line: at.Line, Object: n.place(), Message: message}
}

// problems gathers what is wrong: what providers say, and what building has shown.
func (b *Builder) problems() []dynamic.Problem {
	var all []dynamic.Problem
	for _, s := range b.sources {
		all = append(all, s.problems...)
	}
	for n := range b.faulty {
		for _, message := range n.shown.Errors[n.shown.unread:] {
			all = append(all, b.problem(n, message))
		}
	}
	for _, rivals := range b.rivals {
		for _, n := range rivals {
			all = append(all, b.problem(n, "several providers have one called default: none is used, and what would use it is refused"))
		}
	}
	slices.SortFunc(all, func(p, q dynamic.Problem) int {
		return cmp.Or(cmp.Compare(p.Source, q.Source), cmp.Compare(p.Object, q.Object), cmp.Compare(p.Line, q.Line),
			cmp.Compare(p.Key, q.Key), cmp.Compare(p.Message, q.Message))
	})
	return all
}
