package relay

import (
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// pair is two plain sockets whose bytes a loop passes on. It has descriptors of its own for them; those
// of package net are closed, so that the runtime's poller has nothing to do with them.
type pair struct {
	loop  *loop
	ends  [2]end // the client's and the server's
	ended func() // called when one direction has ended, and that was passed on
	over  bool   // written under loop.mu, by the loop
	done  chan error
}

// errCut is the error of a pair that was cut.
var errCut = errors.New("the pair was cut")

// together passes bytes both ways between plain sockets, and closes them. False: they are none, or the
// system lets no more be watched.
func (s *stream) together(link *Link) (error, bool) {
	client, plain := s.conn.Net().(*net.TCPConn)
	if !plain {
		return nil, false
	}
	server, plain := link.Conn.(*net.TCPConn)
	if !plain {
		return nil, false
	}
	all, err := loops()
	if err != nil {
		return nil, false
	}
	p := &pair{loop: lightest(all), ended: func() { s.terminate(link.TerminationDelay) }, done: make(chan error, 1)}
	if p.take(client, server) != nil {
		return nil, false
	}
	p.ends[0].count, p.ends[0].fault = &s.Received, exchange.ClientAbort
	p.ends[1].count, p.ends[1].fault = &s.Sent, exchange.UpstreamReset
	if p.loop.add(p) != nil {
		p.close()
		return nil, false
	}
	s.mu.Lock()
	s.sides = [2]interrupter{p}
	stopped := s.stopped
	s.mu.Unlock()
	client.Close()
	server.Close()
	if stopped != nil {
		p.loop.cut(p)
	}
	if err = <-p.done; err != nil {
		err = s.reason(err)
	}
	return err, true
}

// take makes descriptors of the pair's own.
func (p *pair) take(conns ...*net.TCPConn) error {
	for i, c := range conns {
		raw, err := c.SyscallConn()
		if err == nil {
			p.ends[i] = end{pair: p, other: &p.ends[1-i], fd: -1}
			if cerr := raw.Control(func(fd uintptr) { p.ends[i].fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); cerr != nil {
				err = cerr
			}
		}
		if err != nil {
			p.close()
			return err
		}
	}
	return nil
}

// SetDeadline cuts the pair: whoever sets a deadline from now on sets one that has passed.
func (p *pair) SetDeadline(time.Time) error {
	p.loop.cut(p)
	return nil
}

// finish ends both sides, with a reset if there is an error. It is the loop's.
func (p *pair) finish(err error) {
	if p.over {
		return
	}
	p.loop.remove(p)
	for i := range p.ends {
		p.ends[i].drop()
		if err != nil {
			unix.SetsockoptLinger(p.ends[i].fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		}
	}
	p.close()
	p.done <- err
}

func (p *pair) close() {
	for i := range p.ends {
		if e := &p.ends[i]; e.pair != nil && e.fd >= 0 {
			unix.Close(e.fd)
		}
	}
}
