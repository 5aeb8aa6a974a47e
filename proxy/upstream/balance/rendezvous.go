package balance

import (
	"encoding/binary"
	"math"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// rendezvous sends each client address to the target that scores highest for it, weights considered
// (highest random weight): when a target goes, only its own clients move.
type rendezvous struct{ set }

// NewRendezvous makes a balancer by rendezvous hashing of the client's address: "hrw".
func NewRendezvous(targets []Target, _ uint64) Balancer { return &rendezvous{newSet(targets)} }

// Pick returns the client's target.
func (r *rendezvous) Pick(x *exchange.Exchange) int {
	address := x.Client.As16() // an IPv4 address is the same as itself mapped into IPv6
	client := mix(binary.BigEndian.Uint64(address[:8])) ^ binary.BigEndian.Uint64(address[8:])
	best, bestScore := -1, math.Inf(-1)
	for _, i := range r.open {
		t := &r.targets[i]
		// uniform in (0, 1); the logarithm of one is -1 divided by an exponential waiting time.
		uniform := (float64(mix(client^t.Key)>>11) + 0.5) / (1 << 53)
		if score := math.Log(uniform) / float64(t.Weight); score > bestScore {
			best, bestScore = int(i), score
		}
	}
	return best
}
