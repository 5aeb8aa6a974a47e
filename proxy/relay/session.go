package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// session is the datagrams of one client.
type session struct {
	exchange.Stream
	owner  *Datagrams
	route  *Route
	cancel context.CancelFunc
	ctx    context.Context
	ticket *sweep.Ticket
	tally  tally
	far    atomic.Pointer[Far]
	source []byte // has the kernel send from the address that the client asked; nil when that goes without saying

	mu      sync.Mutex
	server  net.Conn // nil until there is one
	waiting [][]byte // what came before
	kept    int      // what that takes, in bytes
	ended   bool
}

// Bounds of what waits for a server, in bytes: of one client, and on an entry point. A burst is kept as it is in a
// socket; a server whose name takes long to be found costs no more than that.
const (
	maxWaiting    = 64 << 10
	maxAllWaiting = 16 << 20
	waitingCost   = 64 // of a datagram beside its bytes
)

func newSession(d *Datagrams, r *Route, client, local netip.AddrPort) *session {
	s := &session{owner: d, route: r}
	s.ID, s.Protocol, s.Start = streamIDs.Add(1), "udp", clock.Now()
	s.Stream.Conn = &exchange.Conn{EntryPoint: d.Name, Peer: client, Local: local, PeerText: client.Addr().String(), Shard: uint32(s.ID)}
	s.Router, s.Unlogged, s.Uncounted = r.Router, r.Unlogged, r.Uncounted
	if d.told && !local.Addr().IsUnspecified() {
		s.source = fromLocal(local.Addr(), d.v4)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.tally.start(s.Start)
	return s
}

// up passes a datagram on to the server. What the network does not take is lost, as datagrams are.
func (s *session) up(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return
	case s.server == nil:
		s.keep(p)
	default:
		s.server.Write(p)
	}
	s.Received.Add(int64(len(p)))
}

// keep has a datagram wait for a server, if there is room. With the lock.
func (s *session) keep(p []byte) {
	cost := len(p) + waitingCost
	if s.kept+cost > maxWaiting {
		s.owner.refuse("waiting")
		return
	}
	if s.owner.waiting.Add(int64(cost)) > maxAllWaiting {
		s.owner.waiting.Add(int64(-cost))
		s.owner.refuse("waiting")
		return
	}
	s.kept += cost
	s.waiting = append(s.waiting, append([]byte(nil), p...))
}

// unkeep drops what waits. With the lock.
func (s *session) unkeep() {
	s.owner.waiting.Add(int64(-s.kept))
	s.waiting, s.kept = nil, 0
}

// serve connects the session to a server and passes on what that answers.
func (s *session) serve() {
	s.tell(s.owner.EntryPoint, exchange.StreamScope.Opened)
	s.tell(s.Router, exchange.StreamScope.Opened)
	s.ticket = s.owner.sweeper.Add(s)
	if s.owner.killed.Load() {
		s.cut()
	}
	s.Fail(s.connect())
	s.mu.Lock()
	s.ended = true
	s.unkeep()
	s.mu.Unlock()
	s.owner.forget(s)
	s.owner.sweeper.Remove(s.ticket)
	s.cancel()
	s.Duration = clock.Now() - s.Start
	s.flush()
	for _, scope := range s.scopes() {
		s.tell(scope, exchange.StreamScope.Closed)
	}
	if s.owner.Observer != nil && !s.Unlogged {
		s.owner.Observer.Ended(&s.Stream)
	}
}

func (s *session) connect() error {
	if s.route.Err != nil {
		return s.route.Err
	}
	link, err := s.route.Service.Connect(s.ctx, &s.Stream)
	s.DialDuration = clock.Now() - s.Start
	if err != nil {
		return err
	}
	defer link.Conn.Close()
	if link.Release != nil {
		defer link.Release()
	}
	s.far.Store(farOf(&s.Stream))
	s.tell(s.Service, exchange.StreamScope.Opened)
	s.tell(s.Endpoint, exchange.StreamScope.Opened)
	s.mu.Lock()
	s.server = link.Conn
	for _, p := range s.waiting {
		link.Conn.Write(p)
	}
	s.unkeep()
	s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil
	}
	return s.down(link.Conn)
}

// down passes on what the server answers, until the session is cut.
func (s *session) down(server net.Conn) error {
	read := datagramReader(server)
	for {
		buf, n, err := read()
		if err != nil {
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
				return nil // the session was cut: that is how sessions end
			case errors.Is(err, syscall.ECONNREFUSED):
				return exchange.UpstreamReset.With(err) // nobody listens there; the next datagram finds another server
			}
			return exchange.UpstreamReset.With(err)
		}
		err = s.answer(buf[:n])
		datagrams.Put(buf)
		if err == nil {
			s.Sent.Add(int64(n))
		}
	}
}

// answer sends a datagram to the client. Where it cannot come from the address that the client asked, such as that
// of a broadcast, the network chooses.
func (s *session) answer(p []byte) error {
	socket, client := s.owner.socket, s.Stream.Conn.Peer
	if s.source != nil {
		if _, _, err := socket.WriteMsgUDPAddrPort(p, s.source, client); err == nil {
			return nil
		}
	}
	_, err := socket.WriteToUDPAddrPort(p, client)
	return err
}

// cut ends the session, from any goroutine.
func (s *session) cut() {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		s.server.SetReadDeadline(past)
	}
}

// Sweep is the session's timer.
func (s *session) Sweep(now int64) {
	if s.tally.idle(&s.Stream, now) > int64(s.owner.Idle) || s.owner.killed.Load() {
		s.cut()
	}
	s.flush()
}

// scopes are those that know of the session.
func (s *session) scopes() []exchange.StreamScope {
	all := []exchange.StreamScope{s.owner.EntryPoint, s.Router}
	if s.far.Load() != nil {
		all = append(all, s.Service, s.Endpoint)
	}
	return all
}

func (s *session) flush() {
	if in, out := s.tally.moved(&s.Stream); in+out > 0 && !s.Uncounted {
		for _, scope := range s.scopes() {
			if scope != nil {
				scope.Moved(&s.Stream, in, out)
			}
		}
	}
}

func (s *session) tell(scope exchange.StreamScope, of func(exchange.StreamScope, *exchange.Stream)) {
	if scope != nil && !s.Uncounted {
		of(scope, &s.Stream)
	}
}
