package app

import (
	"time"

	"github.com/pergola-mesh/pergola/gateway"
	"github.com/pergola-mesh/pergola/proxy/relay"
)

// relay makes the layer 4 of an entry point.
func (p *process) relay(name string) gateway.Relay {
	e := p.config.EntryPoints[name]
	return gateway.NewRelay(&relay.Server{
		Routes: p.core.live.Routes(name), Logger: p.logs.With("entryPoint", name),
		Handshake: time.Duration(e.Transport.RespondingTimeouts.HeaderTimeout), Idle: time.Duration(e.TCP.IdleTimeout),
	})
}
