package upstream

import (
	"slices"

	"github.com/pergola-mesh/pergola/proxy/upstream/balance"
)

// view is who a load balancer may choose, as of the last change in its servers' health. It is made
// anew by every change and never changed itself.
type view struct {
	balancer balance.Balancer
	// Of each member: whether it is up but for ejections and takes new requests; whether new requests
	// are sent to it; and whether those that stick to it are.
	up, open, reachable []bool
}

// panicShare is the part of the servers that are up which must be left for ejections to count. With
// fewer, those left would be overrun, and the fault is likely not the servers'.
const panicShare = 1.0 / 3

// refresh makes the view of what is known now. It is told of every change.
func (l *loadBalancer) refresh() {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.members)
	v := &view{up: make([]bool, n), open: make([]bool, n), reachable: make([]bool, n)}
	heed := l.heedEjections()
	targets := make([]balance.Target, n)
	healthy := false
	for i, m := range l.members {
		up, ejected := !l.isDown(m), m.ejected.Load()
		v.up[i] = up && !m.fenced && m.weight > 0
		v.reachable[i] = up && !(heed && ejected)
		v.open[i] = v.up[i] && v.reachable[i]
		targets[i] = balance.Target{Key: balance.KeyOf(m.url), Weight: m.weight, Out: !v.open[i], Load: &m.load}
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

// heedEjections reports whether enough servers are left without those ejected.
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
	return left > 0 && float64(left) >= panicShare*float64(up)
}

// another returns pick or, when that is among those tried, another member that may be tried; -1 when
// there is none.
func (v *view) another(pick int, tried []int) int {
	if pick >= 0 && !slices.Contains(tried, pick) {
		return pick
	}
	for _, usable := range [][]bool{v.open, v.up} { // rather one that is ejected than none
		for k := range usable {
			if i := (tried[0] + k) % len(usable); usable[i] && !slices.Contains(tried, i) {
				return i
			}
		}
	}
	return -1
}
