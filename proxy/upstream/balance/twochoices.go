package balance

import "github.com/pergola-mesh/pergola/proxy/exchange"

// twoChoices draws two targets by weight and takes the one with less in flight: nearly as good as
// looking at all of them, and many proxies that do it do not all rush at the same idle server.
type twoChoices struct{ set }

// NewTwoChoices makes a balancer by the power of two choices: "p2c".
func NewTwoChoices(targets []Target, _ uint64) Balancer { return &twoChoices{newSet(targets)} }

// Pick takes the less loaded of two.
func (p *twoChoices) Pick(*exchange.Exchange) int {
	n := len(p.open)
	if n == 0 {
		return -1
	}
	i := p.admit(p.random())
	if n == 1 {
		return int(p.open[i])
	}
	j := p.random()
	for range 3 {
		if j != i {
			break
		}
		j = p.random()
	}
	if j == i {
		j = (i + 1) % n
	}
	a, b := p.open[i], p.open[j]
	if less(&p.targets[b], &p.targets[a]) {
		return int(b)
	}
	return int(a)
}
