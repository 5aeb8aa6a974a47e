package snapshot

import (
	"fmt"
	"slices"
	"strings"
)

// node is an object, or the name of one that is asked for and does not exist.
type node struct {
	id
	// config is the provider's, such as a *dynamic.Router; nil when there is none. unread are the
	// provider's own complaints about the object.
	config any
	unread []string
	// salvaged is what could be read of a router that has no config but complaints, such as a
	// *dynamic.TCPRouter; nil for nothing.
	salvaged any
	// good is the last config of which all could be made; nil when there never was one.
	good any

	asks  []*node            // what the last build asked for
	users map[*node]struct{} // whose last build asked for this

	phase  phase
	update int  // the number of the update that the node was last built in
	again  bool // it is to be built once more, for a circle has been broken meanwhile
	// refused is what the newest configuration made of the node in that update, once that has had to give
	// way in a circle: it is not tried again.
	refused *refusal
	left    int    // how many circles it has left in that update
	circle  string // set while building, when the node turns out to ask for itself
	err     error  // why whoever asks for the object cannot have it
	value   any    // what was built: *router, *service, exchange.Middleware or *upstream.Transport
	madeOf  any    // the configuration that value was made of
	shown   *object
}

// phase is how far a node has got in the present update.
type phase uint8

const (
	built phase = iota
	stale
	building
)

// present reports whether a provider speaks of the object, be it wrongly.
func (n *node) present() bool { return n.config != nil || len(n.unread) > 0 }

func (n *node) isStale() bool { return n.phase == stale }

// graph holds all nodes.
type graph struct {
	nodes map[id]*node
	stack []*node  // those that are being built
	loose []*node  // those that may have lost their last user
	files []string // the names of those that are files; nil when they have to be gathered
}

// node returns the node of an object, and makes it if need be.
func (g *graph) node(i id) *node {
	n := g.nodes[i]
	if n == nil {
		n = &node{id: i, users: map[*node]struct{}{}, err: absent(i)}
		g.nodes[i] = n
	}
	return n
}

func absent(i id) error {
	if hint, ok := hints[i]; ok {
		return fmt.Errorf("%s does not exist: %s", i, hint)
	}
	return fmt.Errorf("%s does not exist", i)
}

// hints are what to do about services of the gateway's own that are not there.
var hints = map[id]string{
	{aService, "api@internal"}:        "turn the section api on in the static configuration",
	{aService, "dashboard@internal"}:  "turn api.dashboard on in the static configuration",
	{aService, "ping@internal"}:       "turn the section ping on in the static configuration",
	{aService, "prometheus@internal"}: "turn the section metrics.prometheus on in the static configuration",
}

// affected returns the nodes that changed and all that depend on them, marked stale.
func (g *graph) affected(changed []*node) []*node {
	var all []*node
	mark := func(n *node) {
		if n.phase != stale {
			n.phase = stale
			all = append(all, n)
		}
	}
	for _, n := range changed {
		mark(n)
	}
	for i := 0; i < len(all); i++ {
		for user := range all[i].users {
			mark(user)
		}
	}
	return all
}

// begin makes n the node that asks.
func (g *graph) begin(n *node) {
	n.phase, n.circle, n.err = building, "", nil
	for _, asked := range n.asks {
		delete(asked.users, n)
		g.loose = append(g.loose, asked)
	}
	n.asks = n.asks[:0]
	g.stack = append(g.stack, n)
}

// end makes whoever asked for n the node that asks again.
func (g *graph) end(n *node) {
	g.stack = g.stack[:len(g.stack)-1]
	n.phase = built
	if n.again {
		n.phase, n.again = stale, false
	}
}

// breakCircles takes back what was found of the circles that n was in and no longer is: whoever has been
// built in this update on the strength of them is to be built again.
func (g *graph) breakCircles(n *node) {
	for _, m := range g.stack {
		if m.circle != n.circle && slices.Contains(strings.Split(m.circle, arrow), n.String()) {
			m.circle = ""
		}
	}
	seen := map[*node]bool{n: true}
	users := []*node{n}
	for i := 0; i < len(users); i++ {
		for user := range users[i].users {
			if seen[user] || user.update != n.update {
				continue
			}
			seen[user] = true
			users = append(users, user)
			if user.again = user.phase == building; !user.again {
				user.phase = stale
			}
		}
	}
}

// asking is the node that is being built.
func (g *graph) asking() *node { return g.stack[len(g.stack)-1] }

// ask notes that the node being built depends on n, and reports whether n is ready to be used: it is
// not when it is still being built itself, which is a circle.
func (g *graph) ask(n *node) bool {
	g.depend(n)
	if n.phase != building {
		return true
	}
	members := g.stack[slices.Index(g.stack, n):]
	text := circle(members)
	for _, m := range members {
		m.circle = text
	}
	return false
}

// depend notes that the node being built depends on n.
func (g *graph) depend(n *node) {
	user := g.asking()
	if _, known := n.users[user]; !known {
		n.users[user] = struct{}{}
		user.asks = append(user.asks, n)
	}
}

// circle spells the members of a circle out, always from the same one.
func circle(members []*node) string {
	first := 0
	for i, m := range members {
		if m.String() < members[first].String() {
			first = i
		}
	}
	var names []string
	for i := range len(members) + 1 {
		names = append(names, members[(first+i)%len(members)].String())
	}
	return strings.Join(names, arrow)
}

const arrow = " → "

// sweep forgets the nodes that nobody speaks of any more. changed are those of the update.
func (g *graph) sweep(changed []*node) {
	for _, n := range append(g.loose, changed...) {
		if !n.present() && len(n.users) == 0 {
			delete(g.nodes, n.id)
			if n.kind == aFile {
				g.files = nil
			}
		}
	}
	g.loose = g.loose[:0]
}
