package listen

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// Gate admits connections within caps. It is safe for concurrent use.
type Gate struct {
	address string
	options Options
	own     *Cap
	clients clientCap
	noticed atomic.Int64 // when a refusal was last logged, Unix seconds
}

// NewGate returns the gate of an address, which is for the log.
func NewGate(address string, options Options) *Gate {
	return &Gate{address: address, options: options, own: NewCap(options.MaxConns),
		clients: clientCap{limit: options.MaxPerClient}}
}

// Admit takes a place under every cap, or none and returns the rule that stood against it.
func (g *Gate) Admit(client netip.Addr) (rule string) {
	if !g.own.Take() {
		return "max_connections"
	}
	if p := g.options.Process; p != nil && !p.Take() {
		g.own.Give()
		return "max_connections_process"
	}
	if !g.clients.take(clientKey(client)) {
		g.give()
		return "max_connections_per_client"
	}
	return ""
}

// Leave gives the place of an admitted connection back. The address is the one it was admitted by.
func (g *Gate) Leave(client netip.Addr) {
	g.clients.give(clientKey(client))
	g.give()
}

func (g *Gate) give() {
	g.own.Give()
	if p := g.options.Process; p != nil {
		p.Give()
	}
}

// Refused counts a connection that was closed unserved, and says so in the log once a second at most, with
// attributes as log/slog has them.
func (g *Gate) Refused(rule string, peer netip.AddrPort, attributes ...any) {
	if g.options.Refused != nil {
		g.options.Refused(rule)
	}
	now := time.Now().Unix()
	if last := g.noticed.Load(); now != last && g.noticed.CompareAndSwap(last, now) {
		attributes = append([]any{"address", g.address, "rule", rule, "peer", peer.String()}, attributes...)
		g.options.Logger.Warn("connections refused", attributes...)
	}
}

// Count is the number of connections that are being served.
func (g *Gate) Count() int { return g.own.Count() }
