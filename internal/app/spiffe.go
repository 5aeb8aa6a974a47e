package app

import (
	"log/slog"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/identity/spiffe"
)

// openSPIFFE makes the source of the gateway's SPIFFE identity, if there is to be one.
func (k *core) openSPIFFE(c *static.Configuration, logger *slog.Logger) error {
	if c.Spiffe == nil {
		return nil
	}
	network, address, err := c.Spiffe.Endpoint()
	if err != nil {
		return err
	}
	k.spiffe = spiffe.New(spiffe.Options{Network: network, Address: address, Logger: logger})
	return nil
}

// firstIdentity is how long the start waits for the agent, so that neither the first requests nor the first
// health checks fail where it only takes a moment. Without an identity the gateway serves all the same, and
// what needs one fails: an agent that is down takes nothing else with it.
const firstIdentity = 5 * time.Second

// keepIdentity keeps the SPIFFE identity until the process's feeds end.
func (p *process) keepIdentity() {
	s := p.core.spiffe
	if s == nil {
		return
	}
	p.feeds.Go(func() { s.Run(p.life) })
	select {
	case <-s.Ready():
	case <-time.After(firstIdentity):
		p.logs.Warn("the SPIFFE agent has not given this process an identity yet; starting without it", "workloadAPIAddr", p.config.Spiffe.WorkloadAPIAddr)
	}
}
