package h2

import (
	"io"
	"sync"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// tunnel answers with a change of protocol and relays bytes both ways until both ends have closed.
// RFC 8441 §5.
func (s *downStream) tunnel() error {
	x, c := &s.x, s.c
	t := x.Response.Tunnel
	if err := s.life.Bind(closer{t}); err != nil {
		return err
	}
	defer s.life.Bind(nil)
	c.mu.Lock()
	err := s.head(false)
	s.tunnelled = true
	if err != nil {
		c.mu.Unlock()
		return err
	}
	c.release()
	var up sync.WaitGroup
	up.Go(func() {
		if s.upward(t) == nil {
			t.CloseWrite()
		} else {
			t.Close()
		}
	})
	if err = s.downward(t); err != nil {
		t.Close()
		s.body.Close()
	} else {
		err = s.close()
		c.mu.Lock()
		c.release()
	}
	up.Wait()
	return err
}

// upward relays what the client sends.
func (s *downStream) upward(t exchange.Tunnel) error {
	for {
		p, err := s.body.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err = t.Write(p); err != nil {
			return err
		}
	}
}

// downward relays what the server sends.
func (s *downStream) downward(t exchange.Tunnel) error {
	in := exchange.IntakeOf(t)
	defer in.Free()
	for {
		p, err := in.Next()
		if len(p) > 0 {
			s.c.mu.Lock()
			if err := s.write(p, false); err != nil {
				s.c.mu.Unlock()
				return err
			}
			s.c.release()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return exchange.UpstreamReset.With(err)
		}
	}
}

// closer ends a tunnel, whatever either direction waits for.
type closer struct{ exchange.Tunnel }

// Cancel is exchange.Canceler.
func (t closer) Cancel(error) { t.Close() }
