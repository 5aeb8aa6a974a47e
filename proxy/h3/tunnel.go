package h3

import (
	"io"
	"sync"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h3/frame"
)

// tunnel answers that the protocol has changed, and relays bytes both ways until both ends have closed.
func (s *stream) tunnel() {
	x, t := &s.x, s.x.Response.Tunnel
	x.Response.Status = 200 // RFC 8441 §5: there is no 101
	x.Response.Length, x.Response.Body = -1, tunnelled{}
	if err := s.write(s.appendHead(s.out[:0])); err != nil {
		s.cut(err)
		return
	}
	s.body.touched.Store(true)
	both := tunnelCanceler{s, t}
	if s.life.Bind(both) != nil {
		s.cut(exchange.ClientAbort)
		return
	}
	defer s.life.Bind(nil)
	var up sync.WaitGroup
	up.Go(func() {
		if err := s.upward(t); err != nil {
			both.Cancel(err)
		} else {
			t.CloseWrite()
		}
	})
	if err := s.downward(t); err != nil {
		both.Cancel(err)
		s.cut(err)
	} else {
		s.settled()
		s.quic.Close()
	}
	up.Wait()
}

// tunnelled is the body of an answer that opens a tunnel, whose length nobody knows.
type tunnelled struct{}

func (tunnelled) Next() ([]byte, error) { return nil, io.EOF }
func (tunnelled) Close() error          { return nil }

// tunnelCanceler ends a tunnel, whatever either direction waits for.
type tunnelCanceler struct {
	s *stream
	t exchange.Tunnel
}

// Cancel interrupts both ends.
func (c tunnelCanceler) Cancel(error) {
	c.s.quic.SetReadDeadline(past)
	c.s.quic.SetWriteDeadline(past)
	c.t.Close()
}

// upward sends what the client sends to the server.
func (s *stream) upward(t exchange.Tunnel) error {
	for {
		if s.body.left == 0 && s.r == s.w {
			s.shrink() // what comes next may be long in coming
		}
		p, err := s.body.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := t.Write(p); err != nil {
			return err
		}
	}
}

// framed writes p as DATA frames, each in one piece.
func (s *stream) framed(p []byte) error {
	buf := bodyBuffers.Get().(*[bodyBuffer]byte)
	defer bodyBuffers.Put(buf)
	for len(p) > 0 {
		n := min(len(p), bodyBuffer-frame.MaxHead)
		out := append(frame.AppendHead(buf[:0], frame.Data, n), p[:n]...)
		if err := s.write(out); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// downward sends what the server sends to the client.
func (s *stream) downward(t exchange.Tunnel) error {
	in := exchange.IntakeOf(t)
	defer in.Free()
	for {
		p, err := in.Next()
		if len(p) > 0 {
			s.x.Record.ResponseBytes += int64(len(p))
			if err := s.framed(p); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return exchange.UpstreamReset.With(err)
		}
	}
}
