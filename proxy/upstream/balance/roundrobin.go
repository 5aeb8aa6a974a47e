package balance

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// maxSchedule is the longest round that is laid out in memory.
const maxSchedule = 4096

// roundRobin goes round the targets, each as often as its weight says and as evenly spread as can
// be. A round is laid out beforehand, so that a pick is one atomic addition. Where weights make the
// round too long, the golden ratio's multiples give the order instead: they too meet each target at
// almost even distances (three-distance theorem), without a layout.
type roundRobin struct {
	set
	schedule []int32 // positions in open; nil when the round is too long
	_        [64]byte
	next     atomic.Uint64
	_        [64]byte
}

// NewRoundRobin makes a weighted round robin: "wrr".
func NewRoundRobin(targets []Target, start uint64) Balancer { return newRoundRobin(targets, start) }

func newRoundRobin(targets []Target, start uint64) *roundRobin {
	r := &roundRobin{set: newSet(targets)}
	r.next.Store(start)
	r.schedule = r.layOut()
	return r
}

// layOut puts the k-th turn of a target of weight w at (k+1/2)/w of the round.
func (r *roundRobin) layOut() []int32 {
	divisor := uint64(0)
	for _, i := range r.open {
		divisor = gcd(divisor, uint64(r.targets[i].Weight))
	}
	if divisor == 0 || r.total()/divisor > maxSchedule {
		return nil
	}
	type turn struct {
		when float64
		who  int32
	}
	var turns []turn
	for who, i := range r.open {
		w := uint64(r.targets[i].Weight) / divisor
		for k := range w {
			turns = append(turns, turn{(float64(k) + 0.5) / float64(w), int32(who)})
		}
	}
	slices.SortStableFunc(turns, func(a, b turn) int { return cmp.Compare(a.when, b.when) })
	schedule := make([]int32, len(turns))
	for i, t := range turns {
		schedule[i] = t.who
	}
	return schedule
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Pick returns whose turn it is.
func (r *roundRobin) Pick(*exchange.Exchange) int {
	switch len(r.open) {
	case 0:
		return -1
	case 1:
		return int(r.open[0])
	}
	return int(r.open[r.admit(r.turn())])
}

// turn takes a turn and returns a position in open, which must not be empty.
func (r *roundRobin) turn() int {
	if len(r.open) == 1 {
		return 0
	}
	n := r.next.Add(1) - 1
	if r.schedule != nil {
		return int(r.schedule[n%uint64(len(r.schedule))])
	}
	const golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	return r.at(n * golden)
}
