package snapshot

import (
	"cmp"
	"fmt"

	"github.com/pergola-mesh/pergola/identity"
)

// judgeOverlaps finds the routers that come before one of a host which is bound to other options than theirs,
// and take its requests: as *.x or a regular expression does, whose rule is no shorter. They cannot answer them,
// since connections for that host are made under its own options.
func (b *Builder) judgeOverlaps(at *bonds, again map[*node]bool) {
	if len(at.changed) == 0 && !at.openChanged {
		return
	}
	found := map[*node]string{}
	var regexps []*node
	for n := range at.open {
		if r, ok := n.value.(*router); ok && r.rule.OnlyHosts() {
			regexps = append(regexps, n)
		}
	}
	hosts := at.hosts
	if len(at.wide) == 0 && len(regexps) == 0 {
		hosts = nil // nothing can come before a host
	}
	for host, owners := range hosts {
		if at.disputes[host] != "" {
			continue
		}
		for _, wider := range wildcards(host) {
			for n, policy := range at.hosts[wider] {
				b.overlap(at, found, n, policy, host, owners)
			}
		}
		for _, n := range regexps {
			if at.open[n].Name() != at.policy(host).Name() && n.value.(*router).rule.TakesHost(host) {
				b.overlap(at, found, n, at.open[n], host, owners)
			}
		}
	}
	for n := range at.hiding {
		if found[n] != at.hiding[n] {
			again[n] = true
		}
	}
	for n := range found {
		if found[n] != at.hiding[n] {
			again[n] = true
		}
	}
	at.hiding = found
}

// overlap notes what is to be said of n, which takes requests for a host of owners, if it comes before one of them
// and asks for another policy.
func (b *Builder) overlap(at *bonds, found map[*node]string, n *node, policy *identity.Policy, host string, owners claims) {
	for owner, its := range owners {
		if owner == n || its.Name() == policy.Name() || !b.precedes(n, owner) {
			continue
		}
		text := fmt.Sprintf("tls.options %s: requests for %s on entry point %s are answered 421 by this router, which comes before %s, whose options %s the host is bound to; "+
			"give that one a higher priority, or both the same options", policy.Name(), host, at.point, owner, its.Name())
		if said, ok := found[n]; !ok || text < said {
			found[n] = text
		}
	}
}

// precedes reports whether a router comes before another wherever both match.
func (b *Builder) precedes(n, o *node) bool {
	return cmp.Or(cmp.Compare(o.shown.priority, n.shown.priority), cmp.Compare(b.rank(n.provider()), b.rank(o.provider())), cmp.Compare(n.name, o.name)) < 0
}
