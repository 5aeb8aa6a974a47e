package upstream

import (
	"slices"

	"github.com/pergola-mesh/pergola/proxy/upstream/balance"
)

// view is who a load balancer may choose, as of the last change in its servers' health. It is made
// anew by every change and never changed itself.
type view struct {
	balancer balance.Balancer
	// Of each member: whether it takes new requests but for ejections; whether it does and is not
	// ejected; and whether requests that stick to it are sent to it.
	up, calm, reachable []bool
}

// refresh makes the view of what is known now. It is told of every change.
func (l *loadBalancer) refresh() {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.members)
	v := &view{up: make([]bool, n), calm: make([]bool, n), reachable: make([]bool, n)}
	heed := l.heedEjections()
	targets := make([]balance.Target, n)
	healthy := false
	for i, m := range l.members {
		up, ejected := !l.isDown(m), m.ejected.Load()
		v.up[i] = up && !m.fenced && m.weight > 0
		v.reachable[i] = up && !(heed && ejected)
		v.calm[i] = v.up[i] && !ejected
		out := !v.up[i] || heed && ejected
		targets[i] = balance.Target{Key: balance.KeyOf(m.url), Weight: m.weight, Out: out, Load: &m.load}
		healthy = healthy || up && !(l.passive.window > 0 && ejected)
	}
	v.balancer = l.make(targets, l.version)
	l.version++
	l.view.Store(v)
	l.healthy.Store(healthy)
}

// isDown is the active check's verdict; without a check there is none, whatever an earlier
// configuration's found.
func (l *loadBalancer) isDown(m member) bool { return l.checker != nil && m.down.Load() }

// heedEjections reports whether at least a third of the servers that are up is left without those
// ejected. With fewer, those left would be overrun, and the fault is likely not the servers'.
func (l *loadBalancer) heedEjections() bool {
	up, left := 0, 0
	for _, m := range l.members {
		if l.isDown(m) || m.fenced || m.weight <= 0 {
			continue
		}
		up++
		if !m.ejected.Load() {
			left++
		}
	}
	return left > 0 && left*3 >= up
}

// another returns pick or, when that is among those tried, another member that may be tried; -1 when
// there is none.
func (v *view) another(pick int, tried []int) int {
	if pick >= 0 && v.calm[pick] && !slices.Contains(tried, pick) {
		return pick
	}
	for _, usable := range [][]bool{v.calm, v.up} { // rather one that is ejected than none
		for k := range usable {
			if i := (tried[0] + k) % len(usable); usable[i] && !slices.Contains(tried, i) {
				return i
			}
		}
	}
	return -1
}
