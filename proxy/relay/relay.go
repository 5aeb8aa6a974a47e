package relay

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// relay passes bytes both ways until both directions have ended. The error is why that was not in the
// ordinary way; both sides are then to be reset.
func (s *stream) relay(link Link) error {
	client, server := side{Conn: s.conn.Net()}, side{Conn: link.Conn}
	if s.mysql != nil {
		if err := s.mysql.handOver(s, link.Conn); err != nil {
			return s.reason(err)
		}
	}
	if err := s.open(&server); err != nil {
		return s.reason(err)
	}
	s.limit.Store(int64(s.server.Idle))
	s.ended.Store(clock.Now())
	if err, done := s.together(&link); done {
		return err
	}
	back := make(chan error, 1)
	go func() {
		back <- s.direction(&client, &server, &s.Sent, link.TerminationDelay, exchange.UpstreamReset, exchange.ClientAbort)
	}()
	err := s.direction(&server, &client, &s.Received, link.TerminationDelay, exchange.ClientAbort, exchange.UpstreamReset)
	if other := <-back; err == nil || errors.Is(err, errOther) {
		err = other
	}
	if err != nil {
		err = s.reason(err)
	}
	return err
}

// open sends the server what was read of the client's before there was a server.
func (s *stream) open(server *side) error {
	for s.choice.route.TLS == nil && s.conn.Ahead() {
		var buf [2 << 10]byte
		n, err := s.conn.Read(buf[:])
		if err != nil {
			return exchange.ClientAbort.With(err)
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return exchange.UpstreamReset.With(err)
		}
		s.Received.Add(int64(n))
	}
	return nil
}

// errOther is the error of a direction that ended because the other one failed.
var errOther = errors.New("the other direction failed")

// direction passes bytes one way, then the end of them. When it fails it ends the other one too.
func (s *stream) direction(to, from *side, count *atomic.Int64, delay time.Duration, readFault, writeFault exchange.Kind) error {
	reading, err := move(to, from, count)
	if err == nil {
		if err = to.closeWrite(); err == nil {
			s.terminate(delay)
			return nil
		}
		if errors.Is(err, syscall.ENOTCONN) { // it ended meanwhile: the other direction tells how
			return nil
		}
	}
	fault := writeFault
	if reading {
		fault = readFault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped != nil {
		return errOther
	}
	s.stopped = fault.With(err)
	to.SetDeadline(past)
	from.SetDeadline(past)
	return s.stopped
}

// terminate bounds the direction that is left.
func (s *stream) terminate(delay time.Duration) {
	if delay < 0 {
		return
	}
	s.ended.Store(clock.Now())
	if limit := s.limit.Load(); limit == 0 || int64(delay) < limit {
		s.limit.Store(max(int64(delay), 1))
	}
}

// side is one of the two connections.
type side struct {
	net.Conn
}

func (s *side) closeWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// reset makes the end of c one that cannot be taken for a whole.
func reset(c net.Conn) {
	for {
		over, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = over.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
		t.Close()
	}
}

// copyBuffered moves bytes through memory: little while little comes at a time.
func copyBuffered(to io.Writer, from io.Reader, count *atomic.Int64) (reading bool, err error) {
	var small [512]byte
	buf := small[:]
	var large *block
	defer func() {
		if large != nil {
			blocks.Put(large)
		}
	}()
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return false, err
			}
			count.Add(int64(n))
		}
		switch {
		case err == io.EOF:
			return true, nil
		case err != nil:
			return true, err
		case large == nil && n == len(buf):
			large = blocks.Get().(*block)
			buf = large[:]
		case large != nil && n <= len(small):
			blocks.Put(large)
			large, buf = nil, small[:]
		}
	}
}
