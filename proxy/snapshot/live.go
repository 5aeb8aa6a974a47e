package snapshot

import (
	"crypto/tls"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Live holds the snapshot in force.
type Live struct{ current atomic.Pointer[Snapshot] }

// NewLive puts a first snapshot in force.
func NewLive(s *Snapshot) *Live {
	l := &Live{}
	l.current.Store(s)
	s.options.Identity.Use(s.configured)
	return l
}

// Snapshot returns the snapshot in force.
func (l *Live) Snapshot() *Snapshot { return l.current.Load() }

// Swap puts s, of the same builder, in force: requests that begin after it use s. Then it releases
// what s and those before it replaced; requests that have begun with it are still served. It is called
// by the goroutine that calls Builder.Apply.
func (l *Live) Swap(s *Snapshot) {
	s.options.Identity.Use(s.configured)
	l.current.Store(s)
	s.release()
}

// Handler returns the handler of an entry point's requests, by whichever snapshot is in force when each
// begins; nil when there is no such entry point. It fails with exchange.NotFound when no router matches.
func (l *Live) Handler(entryPoint string) exchange.Handler {
	for i, p := range l.Snapshot().points {
		if p.name == entryPoint {
			return &entry{l, i}
		}
	}
	return nil
}

// ConfigFor returns the configuration of TLS handshakes at an entry point, each under whichever snapshot
// is in force when it begins; nil when there is no such entry point. They offer protocols; none stands
// for those of the tls.options that are bound to the name which the client asks for.
//
// A handshake runs in a context of identity.NewSession; the session goes with the connection, as
// exchange.Conn.Session.
func (l *Live) ConfigFor(entryPoint string, protocols ...string) *tls.Config {
	s := l.Snapshot()
	for i, p := range s.points {
		if p.name == entryPoint {
			return s.options.Identity.Config(func() *identity.Edge { return l.Snapshot().edges[i] }, protocols...)
		}
	}
	return nil
}

// entry is an entry point's handler. Entry points keep their numbers from snapshot to snapshot.
type entry struct {
	live   *Live
	number int
}

func (e *entry) Handle(x *exchange.Exchange) error {
	return e.live.current.Load().handle(e.number, x)
}
