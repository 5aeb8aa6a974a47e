package snapshot

import (
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/proxy/relay"
	"github.com/pergola-mesh/pergola/proxy/route"
)

// Builder makes snapshots, each from the one before. It is for one goroutine.
type Builder struct {
	options    Options
	points     []point // by name in order
	pointIndex map[string]int
	defaults   []int              // of points
	udpPoints  []udpPoint         // by name in order
	udpRoutes  []*relay.Route     // by entry point for UDP; nil for none
	udpLosses  map[*node][]string // what routers are told that have to stand back

	graph   graph
	sources map[string]*source // by provider
	shown   [kindCount]map[string]*object
	faulty  map[*node]struct{} // those with something wrong
	kept    map[*node]struct{} // those whose last good version is in force
	bonds   []*bonds           // by entry point
	ties    []ties             // of TCP, by entry point
	// certificates are the configured ones by qualified name, configured all that is said of them.
	certificates map[string]*identity.Certificate
	configured   *identity.Configured
	rivals       [kindCount][]*node // objects that are all the default
	current      *Snapshot

	// Of the update that is being applied:
	update  int    // its number
	edits   []edit // by table
	retired []retiree
	showing [kindCount]bool // which of shown changed
	counts  Counts
}

// edit is what changes in the table of an entry point.
type edit struct {
	remove []string
	put    []route.Entry
}

// Snapshot returns the newest snapshot.
func (b *Builder) Snapshot() *Snapshot { return b.current }

// Apply takes a provider's update in and returns the snapshot that has it; the one before when nothing
// changed. What an update replaced is released when the snapshot, or one made after it, is put in
// force by Live.Swap, on the same goroutine.
//
// An update without a Config leaves the provider's objects as they are and takes its Problems.
func (b *Builder) Apply(u dynamic.Update) (*Snapshot, Report) {
	return b.apply(u.Provider, b.merge(u))
}

// apply builds what changed and what depends on it.
func (b *Builder) apply(provider string, changed []*node) (*Snapshot, Report) {
	b.update++
	b.edits, b.retired, b.showing, b.counts = make([]edit, tablesOf*len(b.points)), nil, [kindCount]bool{}, Counts{}
	affected := b.graph.affected(changed)
	was := make([]*router, len(affected))
	for i, n := range affected {
		was[i], _ = n.value.(*router)
	}
	for again := true; again; again = slices.ContainsFunc(affected, (*node).isStale) {
		for _, n := range affected {
			b.build(n)
		}
	}
	for i, n := range affected {
		if n.kind == aRouter || n.kind == aTCPRouter {
			b.place(n, was[i])
		}
	}
	b.settle()
	b.settleTCP()
	b.settleUDP()
	if b.showing[aCertificate] || b.showing[aTLSStore] {
		b.collectCertificates()
	}
	b.graph.sweep(changed)

	problems := b.problems()
	report := Report{Provider: provider, Built: b.counts, Problems: problems, Kept: len(b.kept)}
	if len(affected) > 0 || !slices.Equal(problems, b.current.problems) {
		report.Changed = true
		b.current = b.current.next(b, problems)
	}
	return b.current, report
}

// place puts a router that was built into the tables of its entry points, and takes it out of those it is
// no longer on.
func (b *Builder) place(n *node, was *router) {
	now, _ := n.value.(*router)
	b.bind(n, was.bindings(), now.bindings())
	if was != nil {
		for _, i := range was.tables {
			if now == nil || !slices.Contains(now.tables, i) {
				b.edits[i].remove = append(b.edits[i].remove, n.name)
			}
		}
	}
	if now == nil {
		return
	}
	for i, table := range now.tables {
		b.edits[table].put = append(b.edits[table].put, now.entries[i])
	}
	now.entries = nil
}

// rank is a provider's place in the precedence.
func (b *Builder) rank(provider string) int {
	if provider == internal {
		return -1
	}
	i := slices.IndexFunc(b.options.Precedence, func(p string) bool { return strings.EqualFold(p, provider) })
	if i < 0 {
		return len(b.options.Precedence)
	}
	return i
}
