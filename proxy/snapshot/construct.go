package snapshot

import (
	"fmt"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// build builds a node that is stale: as it is configured or, if that fails, as it last could be.
func (b *Builder) build(n *node) {
	if n.phase != stale {
		return
	}
	if n.kind.isOutside() {
		n.phase, n.update = built, b.update
		return
	}
	was := n.before(b.update)
	b.graph.begin(n)
	if n.update != b.update {
		n.update, n.left, n.refused = b.update, 0, nil
	}
	n.value = nil
	n.shown = &object{config: n.config, unread: len(n.unread)}
	for _, message := range n.unread {
		n.shown.Add(message, n.config == nil)
	}
	switch {
	case n.refused != nil:
		b.refuse(n, was)
	case n.config != nil:
		b.counts.add(n.kind)
		b.construct(n, n.config, was.value)
	case len(n.unread) > 0:
		n.err = fmt.Errorf("could not be read: %s", n.unread[0])
	default:
		n.err = absent(n.id)
	}
	switch {
	case !n.present():
		n.good = nil
	case n.sound():
		n.good = n.config
	case n.good != nil && n.good != n.config && b.keep(n, was):
	case n.good != nil && n.good == n.config && was.files && n.madeOf == n.good:
		b.keepFiles(n, was)
	case n.config == nil && n.salvaged != nil:
		b.stand(n)
	}
	b.graph.end(n)
	if old, ok := was.value.(retiree); ok {
		if now, _ := n.value.(retiree); now != old {
			b.retired = append(b.retired, old)
		}
	}
	b.note(n)
	b.show(n)
}

// note keeps what was built where it is looked for without being asked for by name.
func (b *Builder) note(n *node) {
	switch {
	case n.kind == aCertificate:
		delete(b.certificates, n.name)
		if c, ok := n.value.(*identity.Certificate); ok {
			b.certificates[n.name] = c
		}
	case n.kind == aTLSOptions && n.name == standard:
		for _, at := range b.bonds {
			at.openChanged = true
		}
	}
}

// construct makes the value of a node from a configuration of it, or sets its err. was is a value before.
func (b *Builder) construct(n *node, config, was any) {
	var err error
	switch config := config.(type) {
	case *dynamic.Router:
		before, _ := was.(*router)
		n.value = b.router(n, config, before)
	case *dynamic.Service:
		var s *service
		if s, err = b.newService(n, config); err == nil {
			n.value = s
		}
	case *dynamic.TCPRouter:
		before, _ := was.(*router)
		n.value = b.tcpRouter(n, config, before)
	case *dynamic.UDPRouter:
		n.value = b.udpRouter(n, config)
	case *dynamic.TCPService:
		n.value, err = orNil(b.newTCPService(n, config))
	case *dynamic.UDPService:
		n.value, err = orNil(b.newUDPService(n, config))
	case *dynamic.TCPServersTransport:
		n.value, err = orNil(b.newTCPTransport(config))
	case *dynamic.Middleware:
		if n.kind == aTCPMiddleware {
			n.value, err = orNil(b.newGate(n, config))
			break
		}
		var m exchange.Middleware
		if m, err = b.newMiddleware(n, config); err == nil {
			n.value = m
		}
	case *dynamic.ServersTransport:
		var t *upstream.Transport
		if t, err = b.newTransport(config); err == nil {
			n.value = t
		}
	case *dynamic.TLSOptions:
		var p *identity.Policy
		if p, err = b.newPolicy(n, config); err == nil {
			n.value = p
		}
	case *dynamic.TLSStore:
		var s *store
		if s, err = b.newStore(n, config); err == nil {
			n.value = s
		}
	case *dynamic.CertAndStores:
		var c *identity.Certificate
		if c, err = b.newCertificate(n, config); err == nil {
			n.value = c
		}
	case standardObject:
		n.value, err = b.ofStandard(n)
	}
	if n.circle != "" {
		err = fmt.Errorf("refers to itself: %s", n.circle)
	}
	if n.err = err; err != nil {
		for message := range strings.Lines(err.Error()) { // errors that were joined
			n.shown.Add(strings.TrimSuffix(message, "\n"), true)
		}
		return
	}
	n.madeOf = config
}

// stand makes of a router that could not be read one that answers with that for what it is meant for.
func (b *Builder) stand(n *node) {
	n.shown.config = n.salvaged
	switch config := n.salvaged.(type) {
	case *dynamic.Router:
		n.value = b.router(n, config, nil)
	case *dynamic.TCPRouter:
		n.value = b.tcpRouter(n, config, nil)
	case *dynamic.UDPRouter:
		n.value = b.udpRouter(n, config)
	}
}

// unreadable is why a router that is only known in part cannot be served; nil for others.
func (n *node) unreadable() error {
	if n.config == nil {
		return n.err
	}
	return nil
}

// retiree is a value that is to be closed once nothing in force uses it.
type retiree interface{ close() }

// orNil is v, and no value at all when there is an error.
func orNil[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// show makes the node's state visible.
func (b *Builder) show(n *node) {
	if n.config == (standardObject{}) {
		n.shown = nil
		return
	}
	if n.present() {
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
	if n.shown != nil && n.shown.kept {
		b.kept[n] = struct{}{}
	} else {
		delete(b.kept, n)
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
	return nil, fmt.Errorf("%s: %s", n.id, strings.ReplaceAll(n.err.Error(), "\n", "; "))
}
