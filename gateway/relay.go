package gateway

import (
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/relay"
)

// NewRelay makes a server of layer 4 what takes connections away from HTTP.
func NewRelay(s *relay.Server) Relay { return relaying{s} }

type relaying struct{ *relay.Server }

// Accepted is Relay.
func (r relaying) Accepted(info *exchange.Conn) Protocol {
	if c := r.Server.Accepted(info); c != nil {
		return c
	}
	return nil
}

// Greeted is Relay.
func (r relaying) Greeted(conn *listen.Conn, info *exchange.Conn) (Protocol, error) {
	c, err := r.Server.Greeted(conn, info)
	if c == nil {
		return nil, err
	}
	return c, err
}

var _ ender = (*relay.Server)(nil)
