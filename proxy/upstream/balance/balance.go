// Package balance chooses a server, or a service, for a request: a file per algorithm.
package balance

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Target is something that can be chosen, as a balancer sees it.
type Target struct {
	// Key is the target's identity for algorithms that hash; the same server has the same key in
	// every set and in every process (KeyOf).
	Key uint64
	// Weight is its share relative to the others'. Zero or less: never chosen.
	Weight int
	// Out keeps it from being chosen for as long as this set is in use: it is down.
	Out bool
	// Load is what is known of the target now. Nil, for algorithms that do not look at it, is a
	// target without slow start.
	Load *Load
}

// Balancer chooses from the set of targets it was made with. Sets do not change: whoever uses a
// balancer makes a new one when targets come, go, or change their state.
type Balancer interface {
	// Pick returns the index of the chosen target in the set it was made with; -1 when none may be
	// chosen. It is safe for concurrent use, does not allocate, and keeps nothing of x.
	Pick(x *exchange.Exchange) int
}

// New makes a balancer of the targets, which it keeps. Start says where algorithms that go round
// begin, so that a new set does not begin with the same target every time.
type New func(targets []Target, start uint64) Balancer

// algorithms lists every algorithm by its name in a configuration.
var algorithms = map[string]New{
	"wrr":       NewRoundRobin,
	"p2c":       NewTwoChoices,
	"hrw":       NewRendezvous,
	"leasttime": NewLeastTime,
	"leastconn": NewLeastConn,
	"random":    NewRandom,
}

// Named returns the algorithm of that name; "" is wrr.
func Named(strategy string) (New, error) {
	if strategy == "" {
		strategy = "wrr"
	}
	if n, ok := algorithms[strategy]; ok {
		return n, nil
	}
	return nil, fmt.Errorf("strategy %q is not known: use one of %s", strategy, strings.Join(Names(), ", "))
}

// Names lists the algorithms in alphabetical order.
func Names() []string { return slices.Sorted(maps.Keys(algorithms)) }

// KeyOf is the identity of the target called name: FNV-1a, then mixed.
func KeyOf(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return mix(h)
}

// mix spreads every bit of x over all bits (the finaliser of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
