package h3

import (
	"io"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// readHead reads the request's head. RFC 9114 §4.1.
func (s *stream) readHead() error {
	lim := &s.conn.srv.Limits
	section, err := s.headSection(uint64(lim.HeaderBytes))
	if err != nil {
		return err
	}
	s.head.Reset(lim)
	if err := s.decoder.Decode(&s.head, section); err != nil {
		return faultQPACK
	}
	r := &s.x.Request
	ended := s.eof && s.r == s.w
	if err := s.head.Request(r, ended); err != nil {
		return err
	}
	if r.Upgrade != nil {
		s.change.Offer(r)
		s.body.begin(s, -1) // what comes is the tunnel's
		return nil
	}
	s.body.begin(s, r.Length)
	if ended {
		s.body.over = true
		return nil
	}
	if err := s.settleLength(r); err != nil {
		return err
	}
	if !s.body.over {
		r.Body = &s.body
	}
	return nil
}

// settleLength finds out whether there is a body, where the head does not say and waiting does not hurt:
// requests of these kinds seldom have one, and a server would take what could be one for one.
func (s *stream) settleLength(r *exchange.Request) error {
	if r.Length > 0 {
		return nil
	}
	if r.Length < 0 && s.r == s.w && bodySeldom(r.Method) {
		if err := s.fill(); err != nil && err != io.EOF {
			return s.named(err)
		}
	}
	if r.Length < 0 {
		if s.eof && s.r == s.w {
			s.body.over, r.Length = true, 0
		} else if p, whole := s.body.Whole(); whole {
			r.Length = int64(len(p))
			s.body.length = r.Length
		}
		return nil
	}
	if _, err := s.body.more(); err != io.EOF { // Content-Length: 0
		return s.named(err)
	}
	s.body.over = true
	return nil
}

func bodySeldom(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "DELETE":
		return true
	}
	return false
}
