package acme

import (
	"fmt"
	"sync"
	"time"

	"github.com/go-acme/lego/v5/challenge"
	"github.com/go-acme/lego/v5/challenge/dns01"
	legoresolver "github.com/go-acme/lego/v5/challenge/resolver"

	"github.com/pergola-mesh/pergola/config/static"
)

// dnsSolver proves names by DNS records.
type dnsSolver struct {
	provider challenge.Provider
	waits    static.DNSPropagation
	servers  []string
}

func newDNSSolver(c *static.DNSChallenge) (*dnsSolver, error) {
	provider, err := newDNSProvider(c.Provider)
	if err != nil {
		return nil, fmt.Errorf("dnsChallenge.provider: %w", err)
	}
	return &dnsSolver{provider, c.Waits(), c.Resolvers}, nil
}

// set makes a client use the solver.
func (d *dnsSolver) set(m *legoresolver.SolverManager) error {
	wait := time.Duration(d.waits.DelayBeforeChecks)
	return m.SetDNS01Provider(d.provider,
		dns01.CondOptions(d.waits.DisableANSChecks, dns01.DisableAuthoritativeNssPropagationRequirement()),
		dns01.CondOptions(!d.waits.RequireAllRNS, dns01.DisableRecursiveNSsPropagationRequirement()),
		dns01.CondOptions(d.waits.DisableChecks || wait > 0, dns01.PropagationWait(wait, d.waits.DisableChecks)),
	)
}

// dnsOrders is held while an order may ask name servers: lego has one set of them for all.
var dnsOrders sync.Mutex

// begin makes lego ask the solver's name servers until end is called.
func (d *dnsSolver) begin() (end func()) {
	dnsOrders.Lock()
	o := dns01.NewOptions()
	o.RecursiveNameservers = d.servers
	dns01.SetDefaultClient(dns01.NewClient(o))
	return dnsOrders.Unlock
}
