package balance

import (
	"math"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// probeAfter is the longest a target goes without a request.
const probeAfter = time.Second

// alike is how much longer than the shortest an expected time may be and count as the same.
const alike = 1.25

// leastTime takes the target that is expected to answer first: average latency times what is queued
// there by its weight. Those that are alike take turns by weight. A target nothing is known of, or was
// heard of for a second, gets one request to find out: slow once is not slow for ever.
type leastTime struct{ turns *roundRobin }

// NewLeastTime makes a balancer by response time: "leasttime".
func NewLeastTime(targets []Target, start uint64) Balancer {
	return &leastTime{newRoundRobin(targets, start)}
}

// Pick takes the target that should answer first, or one that is due for a probe.
func (l *leastTime) Pick(*exchange.Exchange) int {
	s := &l.turns.set
	n := len(s.open)
	if n == 0 {
		return -1
	}
	if n == 1 {
		return int(s.open[0])
	}
	now, first := clock.Now(), s.admit(l.turns.turn())
	best, bestCost, firstCost := int32(-1), 0.0, 0.0
	for k := range n {
		i := s.open[(first+k)%n]
		t := &s.targets[i]
		if t.Load.latency.claim(now, probeAfter) {
			return int(i)
		}
		cost := t.cost()
		if k == 0 {
			firstCost = cost
		}
		if best < 0 || cost < bestCost {
			best, bestCost = i, cost
		}
	}
	if firstCost <= alike*bestCost {
		best = s.open[first]
	}
	return int(best)
}

// cost is the time an answer is expected to take, in nanoseconds. As long as the answer to the first
// probe is out, it is as good as never.
func (t *Target) cost() float64 {
	mean := t.Load.latency.mean()
	if mean == 0 {
		mean = math.MaxFloat32
	}
	return mean * (1 + float64(t.Load.InFlight())/t.strength())
}
