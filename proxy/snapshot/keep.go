package snapshot

import "slices"

// before is what a node was when an update came.
type before struct {
	value any
	asks  []*node
	// steady says that nothing it asks for has changed since.
	steady bool
	// files says that some has, and that it is all files, or what else is no object.
	files bool
}

// before looks at a node that is about to be built in an update.
func (n *node) before(update int) before {
	changed := func(asked *node) bool { return asked.phase != built || asked.update == update }
	others := func(asked *node) bool { return !asked.kind.isOutside() && changed(asked) }
	steady := !slices.ContainsFunc(n.asks, changed)
	return before{n.value, slices.Clone(n.asks), steady, !steady && !slices.ContainsFunc(n.asks, others)}
}

// sound reports whether nothing is wrong with what was built.
func (n *node) sound() bool {
	switch r := n.value.(type) {
	case *router:
		return r.sound
	case *udpRouter:
		return r.sound
	}
	return n.err == nil
}

// keptMessage marks an object whose last good version is in force.
const keptMessage = "the last version without an error stays in force"

// keep makes of a node, whose new configuration has failed, what the last good one says. It reports
// whether it could: what that one asks for may be gone. A router then answers for the requests of the last
// good one if nobody knows those of the new one. The node goes on depending on what the new one asks for
// too, and so is built again as soon as any of that changes.
func (b *Builder) keep(n *node, was before) bool {
	failed, value, err, circle := n.shown, n.value, n.err, n.circle
	n.shown = &object{config: n.good, unread: failed.unread}
	n.value, n.err, n.circle = nil, nil, ""
	if was.steady && was.value != nil && n.madeOf == n.good && !routes(n.kind) {
		b.reuse(n, was)
	} else {
		b.construct(n, n.good, was.value)
	}
	sound := n.sound()
	if !sound && (placed(value) || !placed(n.value)) {
		tried := n.circle
		n.shown, n.value, n.err, n.circle = failed, value, err, circle
		b.leave(n, tried)
		return false
	}
	if circle != "" {
		n.refused = &refusal{failed, value, err}
	}
	warnings := n.shown.Errors
	n.shown.State, n.shown.kept = State{}, sound
	messages := failed.Errors
	if sound {
		messages = append(slices.Clip(messages), keptMessage)
	}
	for _, message := range slices.Concat(messages, warnings) {
		n.shown.Add(message, !sound)
	}
	b.leave(n, circle)
	return true
}

// keepFiles leaves a node what it was made of its files when they could last be read, and told that to be
// what it says.
func (b *Builder) keepFiles(n *node, was before) {
	if was.value == nil || n.kind == aRouter {
		return
	}
	b.reuse(n, was)
	n.err, n.shown.kept = nil, true
	messages := append(n.shown.Errors, keptMessage)
	n.shown.State = State{}
	for _, message := range messages {
		n.shown.Add(message, false)
	}
}

// refusal is what became of a configuration that failed.
type refusal struct {
	shown *object
	value any
	err   error
}

// refuse makes of a node what its newest configuration has made of it before.
func (b *Builder) refuse(n *node, was before) {
	for _, asked := range was.asks {
		b.graph.depend(asked)
	}
	n.shown, n.value, n.err = n.refused.shown, n.refused.value, n.refused.err
}

// leave takes n out of a circle that one of its versions was in. Circles within circles may have it do so
// again; there is an end to that, lest two nodes give way to each other for ever.
func (b *Builder) leave(n *node, circle string) {
	if circle != "" && circle != n.circle && n.left < maxLeft {
		n.left++
		b.graph.breakCircles(n)
	}
}

// maxLeft is how many circles a node leaves in one update.
const maxLeft = 8

// placed reports whether a value is a router with a place in some table.
func placed(value any) bool {
	switch r := value.(type) {
	case *router:
		return len(r.points) > 0
	case *udpRouter:
		return len(r.points) > 0
	}
	return false
}

// routes reports whether objects of a kind are routers.
func routes(k kind) bool { return k == aRouter || k == aTCPRouter || k == aUDPRouter }

// reuse leaves a node the value that it had, with its state.
func (b *Builder) reuse(n *node, was before) {
	for _, asked := range was.asks {
		b.graph.depend(asked)
	}
	n.value = was.value
	switch s := n.value.(type) {
	case *service:
		if s.core != nil {
			n.shown.status = s.core.Status
		}
	case *streamService:
		n.shown.status = s.core.Status
	}
}
