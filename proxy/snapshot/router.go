package snapshot

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/route"
)

// maxPriority is the highest priority that a user may give: those above are for the gateway's own
// routers.
const maxPriority = math.MaxInt - 1000

// router is a router that was built.
type router struct {
	text    string
	rule    *route.Rule
	ruleErr error
	points  []int         // the numbers of the entry points that it is on
	tables  []int         // the numbers of the tables that it is in, one for each point
	entries []route.Entry // its place in each of these tables, until it is there
	bound   []binding     // what it asks of TLS
	claim   *streamClaim  // what one of TCP does
	sound   bool          // it serves all requests it is meant for
}

// parsed is a router with no more than its rule: that of the one before it, if the text is the same.
func parsed(text string, was *router, parse func(string) (*route.Rule, error)) *router {
	r := &router{text: text}
	if was != nil && was.text == text {
		r.rule, r.ruleErr = was.rule, was.ruleErr
	} else {
		r.rule, r.ruleErr = parse(text)
	}
	return r
}

// bindings are what a router, which may be nil, asks of TLS.
func (r *router) bindings() []binding {
	if r == nil {
		return nil
	}
	return r.bound
}

// router makes a router with its place in the tables of its entry points. One that could not be read, and
// of which config was salvaged, answers for its requests with that.
func (b *Builder) router(n *node, config *dynamic.Router, was *router) *router {
	r, state := parsed(config.Rule, was, route.Parse), &n.shown.State
	points := b.pointsOf(config.EntryPoints, state, true)
	unservable := unservable(config, r.ruleErr)
	for _, err := range unservable {
		state.Add(err.Error(), true)
	}
	if r.ruleErr == nil {
		n.shown.priority = r.rule.Priority()
		for _, w := range r.rule.Warnings() {
			state.Add(w, false)
		}
	}
	if config.Priority != 0 {
		n.shown.priority = config.Priority
	}
	if len(unservable) > 0 {
		return r
	}
	r.points = points
	priority := config.Priority
	reserved := priority > maxPriority && n.provider() != internal
	if reserved {
		priority = maxPriority
	}
	paths := make([]*path, len(points))
	broken := 0
	for i, at := range points {
		if err := n.unreadable(); err != nil {
			paths[i] = &path{tls: config.TLS != nil || b.points[at].tls != nil}
			paths[i].fail(exchange.Internal, err)
			broken++
			continue
		}
		paths[i] = b.path(n.provider(), config, b.points[at].middlewares)
		if reserved {
			paths[i].fail(exchange.Internal, fmt.Errorf("priority %d is above %d, the highest a router may have", config.Priority, maxPriority))
		}
		b.secure(n, config, r, at, paths[i])
		if len(paths[i].errs) > 0 {
			broken++
		}
	}
	for i, at := range points {
		for _, err := range paths[i].errs {
			if err == n.err {
				continue // the provider's own complaints are there
			}
			state.Add(err.Error(), broken == len(points))
		}
		n.shown.using = append(n.shown.using, b.points[at].name)
		table := tablesOf*at + plainTable
		if paths[i].tls {
			table = tablesOf*at + tlsTable
		}
		r.tables = append(r.tables, table)
		r.entries = append(r.entries, route.Entry{
			Name: n.name, Rule: r.rule, Priority: priority, Rank: b.rank(n.provider()),
			Handler: b.branch(n, &b.points[at], config, paths[i]),
		})
	}
	r.sound = len(points) > 0 && broken == 0
	return r
}

// unservable tells why no request can be known to be meant for a router.
func unservable(config *dynamic.Router, ruleErr error) (errs []error) {
	if len(config.ParentRefs) > 0 {
		errs = append(errs, errors.New("parentRefs: this build does not have nested routers yet; remove it"))
	}
	if s := config.RuleSyntax; s != "" && !strings.EqualFold(s, "v3") {
		return append(errs, fmt.Errorf("ruleSyntax %s is not supported: write the rule in v3 syntax and remove it", s))
	}
	if ruleErr != nil {
		errs = append(errs, ruleErr)
	}
	return errs
}

// pointsOf gives the numbers of the entry points that a router, of HTTP or else of TCP, is on.
func (b *Builder) pointsOf(names []string, state *State, http bool) []int {
	if len(names) == 0 {
		if len(b.defaults) == 0 {
			state.Add("no entry point is a default one: name some in entryPoints", true)
		}
		return b.defaults
	}
	return numbersOf(names, state, func(name string) (int, string) {
		i, ok := b.pointIndex[name]
		switch {
		case !ok && b.udpIndex(name) >= 0:
			return 0, "is for UDP"
		case !ok:
			return 0, "does not exist"
		case http && b.points[i].startTLS != "":
			return 0, fmt.Sprintf("speaks %s (startTLS) and not HTTP", b.points[i].startTLS)
		}
		return i, ""
	})
}

// numbersOf gives the numbers of the entry points named. find also tells why a router cannot be on one.
func numbersOf(names []string, state *State, find func(name string) (number int, refusal string)) (points []int) {
	for _, name := range names {
		i, refusal := find(name)
		if refusal != "" {
			state.Add(fmt.Sprintf("entry point %s %s", name, refusal), false)
		} else if !slices.Contains(points, i) {
			points = append(points, i)
		}
	}
	if len(points) == 0 {
		state.Add("the router is on no entry point", true)
	}
	slices.Sort(points)
	return points
}
