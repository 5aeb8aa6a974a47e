package snapshot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/proxy/route"
)

// Builder makes snapshots, each from the one before. It is for one goroutine.
type Builder struct {
	options    Options
	points     []point // by name in order
	pointIndex map[string]int
	defaults   []int           // of points
	udp        map[string]bool // entry points for UDP

	graph   graph
	sources map[string]*source // by provider
	shown   [kindCount]map[string]*object
	faulty  map[*node]struct{} // those with something wrong
	current *Snapshot

	// Of the update that is being applied:
	edits   []edit // by entry point
	retired []*service
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
	b.edits, b.retired, b.showing, b.counts = make([]edit, len(b.points)), nil, [kindCount]bool{}, Counts{}
	changed := b.merge(u)
	affected := b.graph.affected(changed)
	for _, n := range affected {
		b.build(n)
	}
	b.graph.sweep(changed)

	problems := b.problems()
	report := Report{Provider: u.Provider, Built: b.counts, Problems: problems}
	if len(affected) > 0 || !slices.Equal(problems, b.current.problems) {
		report.Changed = true
		b.current = b.current.next(b, problems)
	}
	return b.current, report
}

// build builds a node that is stale.
func (b *Builder) build(n *node) {
	if n.phase != stale {
		return
	}
	b.graph.begin(n)
	was := n.value
	n.value, n.shown = nil, &object{config: n.config, unread: len(n.unread)}
	for _, message := range n.unread {
		n.shown.Add(message, n.config == nil)
	}
	switch {
	case n.config != nil:
		b.counts.add(n.kind)
		b.construct(n, was)
	case len(n.unread) > 0:
		n.err = fmt.Errorf("could not be read: %s", n.unread[0])
	default:
		n.err = absent(n.id)
	}
	b.graph.end(n)
	b.replace(n, was)
	b.show(n)
}

// construct makes the value of a node that has a configuration, or sets its err. was is the value
// before.
func (b *Builder) construct(n *node, was any) {
	switch config := n.config.(type) {
	case *dynamic.Router:
		before, _ := was.(*router)
		n.value = b.router(n, config, before)
	case *dynamic.Service:
		if s, err := b.newService(n, config); err != nil {
			n.err = err
		} else {
			n.value = s
		}
	case *dynamic.Middleware:
		if m, err := b.newMiddleware(n, config); err != nil {
			n.err = err
		} else {
			n.value = m
		}
	case *dynamic.ServersTransport:
		if t, err := b.newTransport(config); err != nil {
			n.err = err
		} else {
			n.value = t
		}
	}
}

// replace gives up what a node was.
func (b *Builder) replace(n *node, was any) {
	switch was := was.(type) {
	case *service:
		b.retired = append(b.retired, was)
	case *router:
		now, _ := n.value.(*router)
		for _, i := range was.points {
			if now == nil || !slices.Contains(now.points, i) {
				b.edits[i].remove = append(b.edits[i].remove, n.name)
			}
		}
	}
}

// show makes the node's state visible.
func (b *Builder) show(n *node) {
	if n.present() {
		if n.err != nil && n.config != nil {
			n.shown.Add(n.err.Error(), true)
		}
		if n.shown.Status == "" {
			n.shown.Status = Enabled
		}
		b.shown[n.kind][n.name] = n.shown
	} else {
		delete(b.shown[n.kind], n.name)
		n.shown = nil
	}
	b.showing[n.kind] = true
	if n.shown != nil && len(n.shown.Errors) > 0 {
		b.faulty[n] = struct{}{}
	} else {
		delete(b.faulty, n)
	}
}

// need returns an object that the one being built asks for.
func (b *Builder) need(k kind, name string) (*node, error) {
	n := b.graph.node(id{k, name})
	if !b.graph.ask(n) {
		return nil, fmt.Errorf("%s refers back to it", n.id)
	}
	b.build(n)
	switch {
	case n.err == nil:
		return n, nil
	case !n.present():
		return nil, n.err
	}
	return nil, fmt.Errorf("%s: %w", n.id, n.err)
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
