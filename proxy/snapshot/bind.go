package snapshot

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/identity"
)

// binding is what a router asks of TLS at an entry point: the hosts of its rule are bound to a policy
// there.
type binding struct {
	point int
	// hosts are those that the router asks for by name; open says that it takes others too.
	hosts  []string
	open   bool
	policy *identity.Policy // never nil
}

// bonds are the bindings of all routers of an entry point, and what handshakes make of them.
type bonds struct {
	point string
	edge  *identity.Edge
	hosts map[string]claims
	wide  map[string]bool // the wildcards among them
	open  claims          // of those that take any host
	// disputes are the hosts whose claims contradict each other, with what is said of them. No handshake
	// is made for them.
	disputes map[string]string
	// apart are the routers that take any host, under another policy than any host is bound to.
	apart map[*node]bool
	// hiding are the routers that hide those of a host under another policy, with what is said of them.
	hiding map[*node]string
	// Of the update that is being applied: the hosts whose claims changed, and whether open did.
	changed     map[string]bool
	openChanged bool
}

// claims are the policies that routers ask for, for the same host.
type claims map[*node]*identity.Policy

func newBonds(point string) *bonds {
	return &bonds{point: point, edge: &identity.Edge{}, hosts: map[string]claims{}, wide: map[string]bool{}, open: claims{}, disputes: map[string]string{},
		apart: map[*node]bool{}, changed: map[string]bool{}, openChanged: true}
}

// bind replaces a router's bindings.
func (b *Builder) bind(n *node, was, now []binding) {
	for _, o := range was {
		at := b.bonds[o.point]
		for _, host := range o.hosts {
			at.changed[host] = true
			if delete(at.hosts[host], n); len(at.hosts[host]) == 0 {
				delete(at.hosts, host)
				delete(at.wide, host)
			}
		}
		if o.open {
			delete(at.open, n)
			at.openChanged = true
		}
	}
	for _, o := range now {
		at := b.bonds[o.point]
		for _, host := range o.hosts {
			at.changed[host] = true
			if at.hosts[host] == nil {
				at.hosts[host] = claims{}
				if strings.HasPrefix(host, "*") {
					at.wide[host] = true
				}
			}
			at.hosts[host][n] = o.policy
		}
		if o.open {
			at.open[n] = o.policy
			at.openChanged = true
		}
	}
}

// settle judges what changed of the bindings, once everything is built, and has the routers say so that
// the judgement is about. Then it makes the edges.
func (b *Builder) settle() {
	again := map[*node]bool{}
	for _, at := range b.bonds {
		at.judge(again)
		at.judgeOpen(b.standard(), again)
		b.judgeOverlaps(at, again)
	}
	b.rebuild(again)
	for _, at := range b.bonds {
		at.forge(b.standard())
	}
}

// rebuild builds routers once more that have something else to say.
func (b *Builder) rebuild(again map[*node]bool) {
	for n := range again {
		n.phase = stale
	}
	for n := range again {
		was, _ := n.value.(*router)
		b.build(n)
		b.place(n, was)
	}
}

// standard is the policy of routers and hosts that are bound to no other.
func (b *Builder) standard() *identity.Policy {
	n := b.graph.node(id{aTLSOptions, standard})
	if n.err != nil {
		return identity.Refusal(standard, n.err)
	}
	return n.value.(*identity.Policy)
}

// judge finds the hosts that are in dispute now or were until now.
func (at *bonds) judge(again map[*node]bool) {
	for host := range at.changed {
		text := at.dispute(host)
		if text == "" && at.disputes[host] == "" {
			continue
		}
		if text == "" {
			delete(at.disputes, host)
		} else {
			at.disputes[host] = text
		}
		for n := range at.hosts[host] {
			again[n] = true
		}
	}
}

// dispute tells how the claims of a host contradict each other; empty when they do not. It names one
// router for each policy.
func (at *bonds) dispute(host string) string {
	routers := map[string]string{} // by the name of the policy
	for n, p := range at.hosts[host] {
		if first, ok := routers[p.Name()]; !ok || n.String() < first {
			routers[p.Name()] = n.String()
		}
	}
	if len(routers) < 2 {
		return ""
	}
	var sides []string
	for _, policy := range slices.Sorted(maps.Keys(routers)) {
		sides = append(sides, fmt.Sprintf("%s (%s)", policy, routers[policy]))
	}
	return fmt.Sprintf("tls: host %s is bound to different options on entry point %s: %s; none are chosen, and nobody is served there until they agree",
		host, at.point, strings.Join(sides, ", "))
}

// judgeOpen finds the routers of any host whose policy is not that of the hosts nobody names.
func (at *bonds) judgeOpen(standard *identity.Policy, again map[*node]bool) {
	if !at.openChanged {
		return
	}
	fallback := at.fallback(standard).Name()
	apart := map[*node]bool{}
	for n, p := range at.open {
		if p.Name() != fallback && p.Name() != standard.Name() {
			apart[n] = true
		}
		if apart[n] != at.apart[n] {
			again[n] = true
		}
	}
	at.apart = apart
}

// fallback is the policy of hosts that no router names: that of the routers which take any host, if they
// agree.
func (at *bonds) fallback(standard *identity.Policy) *identity.Policy {
	var all *identity.Policy
	for _, p := range at.open {
		if all != nil && all.Name() != p.Name() {
			return standard
		}
		all = p
	}
	if all == nil {
		return standard
	}
	return all
}

// forge makes the edge.
func (at *bonds) forge(standard *identity.Policy) {
	if len(at.changed) == 0 && !at.openChanged {
		return
	}
	changes := make(map[string]*identity.Policy, len(at.changed))
	for host := range at.changed {
		changes[host] = at.policy(host)
	}
	at.edge = &identity.Edge{Hosts: at.edge.Hosts.With(changes), Fallback: at.fallback(standard), Open: len(at.open) > 0}
	clear(at.changed)
	at.openChanged = false
}

// edges are those of all entry points.
func (b *Builder) edges() []*identity.Edge {
	all := make([]*identity.Edge, len(b.bonds))
	for i, at := range b.bonds {
		all[i] = at.edge
	}
	return all
}

// policy is what a host is bound to; nil for nothing.
func (at *bonds) policy(host string) *identity.Policy {
	if text := at.disputes[host]; text != "" {
		return identity.Refusal("", errors.New(text))
	}
	var first *node
	for n, p := range at.hosts[host] {
		if !p.Refuses() {
			return p // they agree
		}
		if first == nil || n.String() < first.String() { // each for a reason of its own
			first = n
		}
	}
	return at.hosts[host][first]
}
