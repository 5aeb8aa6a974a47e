package relay

import (
	"net/netip"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Open is a stream that runs, at one moment.
type Open struct {
	ID                               uint64
	Protocol, EntryPoint, ServerName string
	Client                           netip.AddrPort
	Router, Service, Server          string // empty when it has not come to that yet
	Received, Sent                   int64
	Age                              time.Duration
}

// List lists the streams that run, in no order.
func (s *Server) List() (list []Open) {
	s.streams.Each(func(e sweep.Entry) {
		o := e.(*stream)
		list = append(list, open(&o.Stream, o.far.Load()))
	})
	return list
}

// List lists the sessions that run, in no order.
func (d *Datagrams) List() (list []Open) {
	d.sweeper.Each(func(e sweep.Entry) {
		o := e.(*session)
		list = append(list, open(&o.Stream, o.far.Load()))
	})
	return list
}

// open describes a stream by what does not change while it runs, and its counters.
func open(s *exchange.Stream, far *Far) Open {
	o := Open{
		ID: s.ID, Protocol: s.Protocol, EntryPoint: s.Conn.EntryPoint, ServerName: s.ServerName, Client: s.Conn.Peer,
		Received: s.Received.Load(), Sent: s.Sent.Load(), Age: time.Duration(clock.Now() - s.Start),
	}
	if s.Router != nil {
		o.Router = s.Router.Name()
	}
	if far != nil {
		o.Service, o.Server = far.Service, far.Server
	}
	return o
}
