package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/proxy/route"
)

// streamClaim is what a router of TCP asks of TLS. A connection is made under what the router that takes it
// asks for, whatever others do; but where nothing says which of two takes it, so would the options be chance.
type streamClaim struct {
	options        string // their qualified name
	priority, rank int
	rule           *route.Rule
}

// claimOf is what a router asks of TLS; nil for nothing.
func (b *Builder) claimOf(n *node, config *dynamic.TCPRouter, rule *route.Rule) *streamClaim {
	asked := config.TLS
	if asked == nil || !rule.OnlyHosts() {
		return nil
	}
	c := &streamClaim{options: optionsName(asked.Options, n.provider()), priority: config.Priority, rank: b.rank(n.provider()), rule: rule}
	if c.priority == 0 {
		c.priority = rule.Priority()
	}
	if asked.Passthrough {
		c.options = "passthrough"
	}
	return c
}

// ties are what is said of the routers of TCP of an entry point about their TLS.
type ties struct {
	edge *identity.Edge // that these were found beside
	// torn are the routers between which and others, with other options, nothing decides.
	torn map[*node]string
	// hidden are those of a host that HTTP has.
	hidden map[*node]string
}

// settleTCP finds the ties, and has the routers say so. It comes after settle.
func (b *Builder) settleTCP() {
	if b.ties == nil {
		b.ties = make([]ties, len(b.points))
	}
	var claims []map[*node]*streamClaim // by entry point, once gathered
	again := map[*node]bool{}
	for at, bonds := range b.bonds {
		was := &b.ties[at]
		if was.edge == bonds.edge && !b.showing[aTCPRouter] {
			continue
		}
		if claims == nil {
			claims = b.claims()
		}
		now := ties{bonds.edge, tornAmong(claims[at], b.points[at].name), hiddenAmong(claims[at], bonds.edge, b.points[at].name)}
		for n := range claims[at] {
			if was.torn[n] != now.torn[n] || was.hidden[n] != now.hidden[n] {
				again[n] = true
			}
		}
		*was = now
	}
	b.rebuild(again)
}

// torn notes what is said of a router at an entry point, and returns why nobody is served there.
func (b *Builder) torn(n *node, r *router, at int) string {
	if b.ties == nil || r.claim == nil {
		return ""
	}
	if text := b.ties[at].hidden[n]; text != "" {
		n.shown.Add(text, false)
	}
	text := b.ties[at].torn[n]
	if text != "" {
		n.shown.Add(text, true)
	}
	return text
}

// claims are those of the routers that are in force, by entry point.
func (b *Builder) claims() []map[*node]*streamClaim {
	all := make([]map[*node]*streamClaim, len(b.points))
	for at := range all {
		all[at] = map[*node]*streamClaim{}
	}
	for name := range b.shown[aTCPRouter] {
		n := b.graph.nodes[id{aTCPRouter, name}]
		if r, ok := n.value.(*router); ok && r.claim != nil {
			for _, at := range r.points {
				all[at][n] = r.claim
			}
		}
	}
	return all
}

// standing is what decides between routers before their names do.
type standing struct{ priority, rank int }

// tornAmong finds the routers that take a name which another takes too, with other options and the same standing.
func tornAmong(claims map[*node]*streamClaim, point string) map[*node]string {
	found := map[*node]string{}
	tie := func(a, o *node, name string) {
		if claims[a].options == claims[o].options {
			return
		}
		for _, pair := range [][2]*node{{a, o}, {o, a}} {
			mine, other := pair[0], pair[1]
			text := fmt.Sprintf("tls: the options for %s on entry point %s would be chance: %s (%s) or %s (%s); nobody is served by either until they agree or have different priorities",
				name, point, claims[mine].options, mine, claims[other].options, other)
			if said, ok := found[mine]; !ok || text < said {
				found[mine] = text
			}
		}
	}
	byHost := map[standing]map[string][]*node{}
	byText := map[string]*node{}
	var open []*node // those that take names which they do not spell out
	for _, n := range slices.SortedFunc(maps.Keys(claims), func(a, o *node) int { return strings.Compare(a.name, o.name) }) {
		c := claims[n]
		s := standing{c.priority, c.rank}
		if byHost[s] == nil {
			byHost[s] = map[string][]*node{}
		}
		for _, host := range c.rule.Hosts() {
			byHost[s][host] = append(byHost[s][host], n)
		}
		if c.rule.Confined() {
			continue
		}
		open = append(open, n)
		text := fmt.Sprint(s, c.rule)
		if first := byText[text]; first != nil {
			tie(first, n, c.rule.String())
		} else {
			byText[text] = n
		}
	}
	for _, hosts := range byHost {
		for host, takers := range hosts {
			for _, n := range takers {
				for _, wider := range append(wildcards(host), host) {
					for _, o := range hosts[wider] {
						tie(n, o, host)
					}
				}
			}
		}
	}
	for _, n := range open {
		s := standing{claims[n].priority, claims[n].rank}
		for host, takers := range byHost[s] {
			if claims[n].rule.TakesHost(host) {
				for _, o := range takers {
					tie(n, o, host)
				}
			}
		}
	}
	return found
}

// wildcards are those that take a host too.
func wildcards(host string) (all []string) {
	if strings.HasPrefix(host, "**.") {
		host = host[1:]
	} else if _, rest, ok := strings.Cut(host, "."); ok && !strings.HasPrefix(host, "*.") {
		all = append(all, "*."+rest)
	}
	for {
		_, rest, ok := strings.Cut(host, ".")
		if !ok {
			return all
		}
		all = append(all, "**."+rest)
		host = rest
	}
}

// hiddenAmong finds the routers of hosts that routers of HTTP ask for by name: HTTP has all connections to these that
// may be its own.
func hiddenAmong(claims map[*node]*streamClaim, edge *identity.Edge, point string) map[*node]string {
	found := map[*node]string{}
	for n, c := range claims {
		for _, host := range c.rule.Hosts() {
			if edge.Hosts.Lookup(host) != nil {
				found[n] = fmt.Sprintf("host %s is HTTP's on entry point %s: the router gets only what cannot be HTTP, such as Postgres", host, point)
				break
			}
		}
	}
	return found
}
