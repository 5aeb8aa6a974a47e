package balance

import "github.com/pergola-mesh/pergola/proxy/exchange"

// leastConn takes the target with least in flight by its weight. Those that are alike, as all are on
// an idle service, take turns.
type leastConn struct{ turns *roundRobin }

// NewLeastConn makes a balancer by requests in flight: "leastconn".
func NewLeastConn(targets []Target, start uint64) Balancer {
	return &leastConn{newRoundRobin(targets, start)}
}

// Pick takes the least loaded target.
func (l *leastConn) Pick(*exchange.Exchange) int {
	s := &l.turns.set
	n := len(s.open)
	if n == 0 {
		return -1
	}
	first := s.admit(l.turns.turn())
	best := s.open[first]
	for k := 1; k < n; k++ {
		if i := s.open[(first+k)%n]; less(&s.targets[i], &s.targets[best]) {
			best = i
		}
	}
	return int(best)
}
