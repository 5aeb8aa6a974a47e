package h3

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h3/frame"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// conn is a client's connection.
type conn struct {
	srv      *Server
	quic     *quic.Conn
	ticket   *sweep.Ticket
	first    netip.AddrPort // where the client was when it was admitted
	began    int64
	session  any          // of the handshake
	requests atomic.Int64 // accepted so far

	addr net.Addr       // where info says the client is
	info *exchange.Conn // for the next request

	control *quic.SendStream
	uni     uniStreams
	wg      sync.WaitGroup // of what runs on its behalf
	closing atomic.Bool

	mu      sync.Mutex // guards what follows
	streams []*stream  // under way
	quiet   int64      // since when there has been none
	ending  endPhase
	ends    int64         // when the phase began
	next    quic.StreamID // of the first request not yet seen
	refuse  quic.StreamID // requests from here on are refused; 0: none
}

func newConn(s *Server, q *quic.Conn, peer netip.AddrPort, session any) *conn {
	c := &conn{srv: s, quic: q, first: peer, session: session, began: clock.Now()}
	c.quiet = c.began
	c.describe(q.RemoteAddr(), s.shards.Add(1))
	return c
}

// describe makes what exchanges are told of the connection. Those that are under way keep what they know.
func (c *conn) describe(addr net.Addr, shard uint32) {
	state := c.quic.ConnectionState().TLS
	peer := listen.AddrPort(addr)
	c.addr = addr
	c.info = &exchange.Conn{EntryPoint: c.srv.EntryPoint, Peer: peer, Local: listen.AddrPort(c.quic.LocalAddr()),
		PeerText: peer.Addr().String(), TLS: &state, Session: c.session, Shard: shard}
}

// run serves the connection until it ends.
func (c *conn) run() {
	defer c.srv.left(c)
	if err := c.open(); err != nil {
		c.quic.CloseWithError(codeInternal, "")
		return
	}
	c.ticket = c.srv.sweeper.Add(c)
	c.wg.Go(c.acceptUni)
	for {
		q, err := c.quic.AcceptStream(context.Background())
		if err != nil {
			break
		}
		if addr := c.quic.RemoteAddr(); addr != c.addr {
			c.describe(addr, c.info.Shard) // the client has moved. RFC 9000 §9
		}
		c.request(q)
	}
	c.wg.Wait()
	c.srv.sweeper.Remove(c.ticket)
}

// open sends our settings. RFC 9114 §6.2.1.
func (c *conn) open() (err error) {
	if c.control, err = c.quic.OpenUniStream(); err != nil {
		return err
	}
	settings := frame.AppendSettings([]byte{frame.ControlStream},
		frame.Setting{ID: frame.SettingMaxFieldSection, Value: uint64(c.srv.Limits.HeaderBytes)},
		frame.Setting{ID: frame.SettingExtendedConnect, Value: 1})
	return c.control.TryWriteAll(settings)
}

// request begins a request, unless the connection is about to end.
func (c *conn) request(q *quic.Stream) {
	c.mu.Lock()
	id := q.StreamID()
	c.next = max(c.next, id+streamIDStep)
	if c.refuse > 0 && id >= c.refuse {
		c.mu.Unlock()
		q.CancelRead(codeRequestRejected)
		q.CancelWrite(codeRequestRejected)
		q.ReleaseStreamCredit()
		return
	}
	s := newStream(c, q)
	s.place = len(c.streams)
	c.streams = append(c.streams, s)
	c.mu.Unlock()
	if n := c.requests.Add(1); c.srv.MaxRequests > 0 && n >= int64(c.srv.MaxRequests) {
		c.goAway()
	}
	c.wg.Add(1)
	c.srv.workers.Do(c.info.Shard, s)
}

// finished forgets a request.
func (c *conn) finished(s *stream) {
	c.mu.Lock()
	last := len(c.streams) - 1
	moved := c.streams[last]
	c.streams[s.place], moved.place = moved, s.place
	c.streams[last] = nil
	c.streams = c.streams[:last]
	if last == 0 {
		c.quiet = clock.Now()
	}
	c.mu.Unlock()
}

// fail ends the connection for a breach of the protocol, or because it has ended.
func (c *conn) fail(err error) {
	var f *fault
	if !errors.As(err, &f) || c.closing.Swap(true) {
		return
	}
	c.srv.refused(f.rule.Name)
	c.quic.CloseWithError(f.code, f.rule.Text)
}

// shut ends the connection, without waiting for it.
func (c *conn) shut(code quic.ApplicationErrorCode) {
	if !c.closing.Swap(true) {
		go c.quic.CloseWithError(code, "")
	}
}
