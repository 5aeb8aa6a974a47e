package h3

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/internal/workers"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// Protocol is the name that TLS negotiates. RFC 9114 §3.1.
const Protocol = "h3"

// Server turns the connections that come to a UDP socket into exchanges. Its fields are set before Serve.
type Server struct {
	Handler  exchange.Handler
	Observer exchange.Observer // told of every finished exchange; may be nil
	Limits   fields.Limits
	Timeouts listen.Timeouts
	// TLS is what handshakes go by. It, and what its GetConfigForClient returns, offers Protocol.
	TLS *tls.Config
	// Session returns the context that a handshake runs in, and what of it goes with the connection as
	// exchange.Conn.Session; may be nil.
	Session func(ctx context.Context) (context.Context, any)
	// EntryPoint is the name that exchanges are told.
	EntryPoint string
	// Streams is how many requests a client may have under way on a connection.
	Streams int
	// MaxRequests and MaxAge end a connection gracefully. Zero means no limit.
	MaxRequests int
	MaxAge      time.Duration
	// Gate admits connections, once the client's address is known to be its own; nil admits all.
	Gate *listen.Gate
	// Connections is told +1 and -1; may be nil.
	Connections func(delta int)
	// Refused is told of every message that was refused, by the name of its rule; may be nil.
	Refused func(rule string)
	// Tag is what every connection's identifiers begin with: of several processes on one socket each packet
	// can be sent to the one that knows its connection.
	Tag    [4]byte
	Logger *slog.Logger

	sweeper    sweep.Sweeper
	workers    workers.Pool
	listener   atomic.Pointer[quic.Listener]
	handshakes atomic.Int64
	shards     atomic.Uint32
	active     atomic.Int64
	conns      sync.WaitGroup
	draining   atomic.Bool
	refusing   atomic.Bool // no handshake is begun any more
	killed     atomic.Bool
}

// Serve accepts connections on pc, which it owns, until Drain or Kill, and returns when the last one has
// ended. The error is why it could not listen.
func (s *Server) Serve(pc net.PacketConn) error {
	defer pc.Close()
	t := &quic.Transport{
		Conn: pc, ConnectionIDGenerator: connectionIDs{s.Tag}, StatelessResetKey: new(quic.StatelessResetKey),
		VerifySourceAddress: func(net.Addr) bool { return s.handshakes.Load() >= verifyHandshakes },
		ConnContext:         s.begins,
	}
	rand.Read(t.StatelessResetKey[:])
	listener, err := t.Listen(s.TLS, s.config())
	if err != nil {
		return err
	}
	defer t.Close()
	s.listener.Store(listener)
	if s.draining.Load() {
		listener.Close()
	}
	for {
		conn, err := listener.Accept(context.Background())
		if err != nil {
			break
		}
		s.accept(conn)
	}
	s.conns.Wait()
	return nil
}

func (s *Server) config() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout: max(s.Timeouts.Header/2, 0),
		MaxIdleTimeout:       deadPeer, KeepAlivePeriod: probePeer,
		InitialStreamReceiveWindow: streamWindow, MaxStreamReceiveWindow: maxStreamWindow,
		InitialConnectionReceiveWindow: connWindow, MaxConnectionReceiveWindow: maxConnWindow,
		MaxIncomingStreams: int64(s.Streams), MaxIncomingUniStreams: maxUniStreams,
		// A request's place is free when its work has ended, not when its client has lost interest.
		RequireStreamCreditRelease: true,
	}
}

var errBusy = errors.New("too many handshakes, or none any more")

// begins counts a handshake. What is asked for under a false address costs memory until it times out, so
// there is a bound on it, and past a lower one clients must show that the address is theirs.
// RFC 9000 §8.1.
func (s *Server) begins(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	if n := s.handshakes.Add(1); n > maxHandshakes || s.refusing.Load() {
		s.handshakes.Add(-1)
		if n > maxHandshakes {
			s.refused("h3_handshakes")
		}
		return nil, errBusy
	}
	h := &handshake{server: s}
	if s.Session != nil {
		ctx, h.session = s.Session(ctx)
	}
	ctx = context.WithValue(ctx, handshakeKey{}, h)
	context.AfterFunc(ctx, h.end)
	return ctx, nil
}

// handshake is counted until it succeeds or fails.
type handshake struct {
	server  *Server
	session any
	over    atomic.Bool
}

type handshakeKey struct{}

func (h *handshake) end() {
	if !h.over.Swap(true) {
		h.server.handshakes.Add(-1)
	}
}

// accept serves a connection whose handshake is complete.
func (s *Server) accept(q *quic.Conn) {
	h := q.Context().Value(handshakeKey{}).(*handshake)
	h.end()
	peer := listen.AddrPort(q.RemoteAddr())
	if s.Gate != nil {
		if rule := s.Gate.Admit(peer.Addr()); rule != "" {
			go q.CloseWithError(codeExcessiveLoad, "")
			s.Gate.Refused(rule, peer)
			return
		}
	}
	c := newConn(s, q, peer, h.session)
	s.active.Add(1)
	if s.Connections != nil {
		s.Connections(1)
	}
	s.conns.Go(c.run)
}

// left forgets a connection.
func (s *Server) left(c *conn) {
	if s.Connections != nil {
		s.Connections(-1)
	}
	if s.Gate != nil {
		s.Gate.Leave(c.first.Addr())
	}
	s.active.Add(-1) // last: whoever waits for the last connection may go on
}

func (s *Server) refused(rule string) {
	if s.Refused != nil {
		s.Refused(rule)
	}
}

// Active is the number of connections being served.
func (s *Server) Active() int { return int(s.active.Load()) }

// Drain tells clients to ask for nothing more (GOAWAY), lets them finish what they have asked for, and
// returns when none is left or ctx ends. What is left then is cut by Kill. RFC 9114 §5.2.
//
// Handshakes that have begun are ended. So are those whose first packet has been read, when another process
// reads the socket from now on: a client that is refused does not try again.
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	enough, cancel := context.WithTimeout(ctx, handshakeGrace)
	defer cancel()
	none := func() bool { return s.handshakes.Load() == 0 || s.killed.Load() }
	quiet := time.Now().Add(handshakeQuiet)
	listen.Await(enough, func() bool {
		if !none() {
			quiet = time.Now().Add(handshakeQuiet)
		}
		return s.killed.Load() || time.Now().After(quiet)
	})
	s.refusing.Store(true)
	listen.Await(enough, none)
	if l := s.listener.Load(); l != nil {
		l.Close()
	}
	return listen.Await(ctx, func() bool { return s.active.Load() == 0 })
}

// Kill cuts every connection and waits for their goroutines.
func (s *Server) Kill(ctx context.Context) error {
	s.killed.Store(true)
	return s.Drain(ctx)
}
