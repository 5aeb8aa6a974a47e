package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// Datagrams relays the datagrams of an entry point for UDP. What comes from one client address and port to one
// address of ours is a session, with a socket of its own to one server: what the server answers there goes to
// the client, from the address that it has asked.
type Datagrams struct {
	// Name is the entry point's.
	Name string
	// Route returns the router in force; nil when there is none.
	Route func() *Route
	// EntryPoint and Observer are told of every session; both may be nil.
	EntryPoint exchange.StreamScope
	Observer   exchange.StreamObserver
	// Refused counts datagrams that were dropped: max_sessions, max_sessions_per_client, no_router, waiting. Sessions
	// counts sessions, +1 and -1. Both may be nil.
	Refused  func(rule string)
	Sessions func(delta int)
	// Idle is how long a session may move nothing.
	Idle time.Duration
	// MaxSessions and MaxPerClient bound the sessions of all clients, and of one address (of one /64 for
	// IPv6); zero means no bound.
	MaxSessions, MaxPerClient int

	socket   *net.UDPConn
	sweeper  sweep.Sweeper
	draining atomic.Bool
	killed   atomic.Bool
	waiting  atomic.Int64 // bytes that wait for servers

	told, v4 bool // of the socket: it tells what address datagrams are for; it is one of IPv4

	mu       sync.Mutex
	sessions map[ends]*session
	clients  map[netip.Addr]int
	wg       sync.WaitGroup
}

// ends are the two that datagrams go between.
type ends struct{ client, local netip.AddrPort }

// maxDatagram is the largest datagram there is, in bytes.
const maxDatagram = 64 << 10

type datagram [maxDatagram]byte

var datagrams = sync.Pool{New: func() any { return new(datagram) }}

// Serve passes on what comes to socket, until StopAccepting.
func (d *Datagrams) Serve(socket *net.UDPConn) {
	d.mu.Lock()
	d.socket, d.sessions, d.clients = socket, map[ends]*session{}, map[netip.Addr]int{}
	if d.draining.Load() {
		socket.SetReadDeadline(past)
	}
	local := listen.AddrPort(socket.LocalAddr())
	if local.Addr().IsUnspecified() {
		d.told, d.v4 = tellLocal(socket)
	}
	d.mu.Unlock()
	buf := new(datagram)
	control := make([]byte, localRoom)
	for {
		n, told, _, client, err := socket.ReadMsgUDPAddrPort(buf[:], control)
		switch {
		case err == nil: // though it may have been told to stop meanwhile: nobody else has read this one
		case d.draining.Load() || errors.Is(err, net.ErrClosed):
			return
		default: // what the network says of a datagram that was sent before
			continue
		}
		client = netip.AddrPortFrom(client.Addr().Unmap(), client.Port())
		at := local
		if d.told {
			if a := localOf(control[:told]); a.IsValid() {
				at = netip.AddrPortFrom(a, local.Port())
			}
		}
		s, rule := d.find(client, at)
		if rule != "" {
			d.refuse(rule)
			continue
		}
		s.up(buf[:n])
	}
}

// refuse counts a datagram that is dropped.
func (d *Datagrams) refuse(rule string) {
	if d.Refused != nil {
		d.Refused(rule)
	}
}

// find returns the session of a client, a new one if need be, or why there can be none.
func (d *Datagrams) find(client, local netip.AddrPort) (s *session, rule string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s = d.sessions[ends{client, local}]; s != nil {
		return s, ""
	}
	key := perClient(client.Addr())
	route := d.Route()
	switch {
	case route == nil:
		return nil, "no_router"
	case d.MaxSessions > 0 && len(d.sessions) >= d.MaxSessions:
		return nil, "max_sessions"
	case d.MaxPerClient > 0 && d.clients[key] >= d.MaxPerClient:
		return nil, "max_sessions_per_client"
	}
	s = newSession(d, route, client, local)
	d.sessions[ends{client, local}] = s
	d.clients[key]++
	if d.Sessions != nil {
		d.Sessions(1)
	}
	d.wg.Go(s.serve)
	return s, ""
}

// forget ends a session's being found.
func (d *Datagrams) forget(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sessions, ends{s.Stream.Conn.Peer, s.Stream.Conn.Local})
	key := perClient(s.Stream.Conn.Peer.Addr())
	if d.clients[key]--; d.clients[key] == 0 {
		delete(d.clients, key)
	}
	if d.Sessions != nil {
		d.Sessions(-1)
	}
}

// perClient is what a client is counted by.
func perClient(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// StopAccepting has Serve return: no datagram is read any more. Answers of servers still go to clients.
func (d *Datagrams) StopAccepting() {
	d.draining.Store(true)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.socket != nil {
		d.socket.SetReadDeadline(past)
	}
}

// Active is the number of sessions.
func (d *Datagrams) Active() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.sessions)
}

// Drain lets the answers come that are on their way: it returns when no session is left, or ctx ends.
func (d *Datagrams) Drain(ctx context.Context) error {
	d.StopAccepting()
	return listen.Await(ctx, func() bool { return d.Active() == 0 })
}

// Kill ends all sessions, and waits until they have ended.
func (d *Datagrams) Kill(ctx context.Context) error {
	d.StopAccepting()
	d.killed.Store(true)
	d.sweeper.Each(func(e sweep.Entry) { e.(*session).cut() })
	return listen.Await(ctx, func() bool { return d.Active() == 0 })
}
