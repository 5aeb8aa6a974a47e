package balance

import "github.com/pergola-mesh/pergola/proxy/exchange"

type random struct{ set }

// NewRandom makes a balancer that draws by weight: "random".
func NewRandom(targets []Target, _ uint64) Balancer { return &random{newSet(targets)} }

// Pick draws.
func (r *random) Pick(*exchange.Exchange) int {
	if len(r.open) == 0 {
		return -1
	}
	return int(r.open[r.admit(r.random())])
}
