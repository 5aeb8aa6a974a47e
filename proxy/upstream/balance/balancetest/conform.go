// Package balancetest holds what every balancer must pass.
package balancetest

import (
	"fmt"
	"math"
	"net/netip"
	"sync"
	"testing"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance"
)

// Conform checks that a balancer keeps the contract of balance.Balancer: shares follow weights, what
// has no weight or is out is never chosen, nobody starves, sets of any size work, and all of that
// under concurrency. It drives the balancer with requests from many client addresses that are over
// at once.
func Conform(t *testing.T, make balance.New) {
	t.Run("distribution", func(t *testing.T) { distribution(t, make) })
	t.Run("never chosen", func(t *testing.T) { neverChosen(t, make) })
	t.Run("nobody to choose", func(t *testing.T) { nobody(t, make) })
	t.Run("no starvation under load", func(t *testing.T) { starvation(t, make) })
	t.Run("changing sets", func(t *testing.T) { changingSets(t, make) })
	t.Run("concurrency", func(t *testing.T) { concurrency(t, make) })
	t.Run("allocations", func(t *testing.T) { allocations(t, make) })
}

// Targets returns targets of these weights, each with its Load.
func Targets(weights ...int) []balance.Target {
	targets := make([]balance.Target, len(weights))
	for i, w := range weights {
		targets[i] = balance.Target{
			Key: balance.KeyOf(fmt.Sprintf("http://10.0.0.%d:80", i)), Weight: w, Load: &balance.Load{},
		}
	}
	return targets
}

// Client returns an exchange of the i-th client.
func Client(i int) *exchange.Exchange {
	x := &exchange.Exchange{}
	SetClient(x, i)
	return x
}

// SetClient makes x that of the i-th client.
func SetClient(x *exchange.Exchange, i int) {
	x.Client = netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)})
}

// Count sends so many requests, each over at once and answered in a millisecond, and returns how
// often each target was chosen.
func Count(t *testing.T, b balance.Balancer, targets []balance.Target, requests int) []int {
	t.Helper()
	counts, x := make([]int, len(targets)), &exchange.Exchange{}
	for n := range requests {
		SetClient(x, n)
		i := b.Pick(x)
		if i < 0 || i >= len(targets) {
			t.Fatalf("request %d: picked %d of %d targets", n, i, len(targets))
		}
		counts[i]++
		targets[i].Load.Begin()
		targets[i].Load.Observe(clock.Now(), 1e6)
		targets[i].Load.End()
	}
	return counts
}

func distribution(t *testing.T, make balance.New) {
	for _, weights := range [][]int{{1}, {1, 1}, {1, 1, 1}, {5, 1, 1}, {3, 2}, {100, 50, 25}, {9973, 4001, 7}, {1, 2, 3, 4, 5, 6, 7, 8}} {
		targets := Targets(weights...)
		const requests = 20000
		counts := Count(t, make(targets, 0), targets, requests)
		total := 0
		for _, w := range weights {
			total += w
		}
		for i, w := range weights {
			// Five standard deviations of a fair draw.
			p := float64(w) / float64(total)
			want, slack := p*requests, 5*math.Sqrt(requests*p*(1-p))+2
			if got := float64(counts[i]); math.Abs(got-want) > slack {
				t.Errorf("weights %v: target %d was chosen %v times, not %.0f±%.0f (%v)", weights, i, got, want, slack, counts)
			}
		}
	}
}

func neverChosen(t *testing.T, make balance.New) {
	targets := Targets(1, 0, 3, -1, 2)
	targets[2].Out = true
	counts := Count(t, make(targets, 0), targets, 3000)
	for _, i := range []int{1, 2, 3} {
		if counts[i] != 0 {
			t.Errorf("target %d was chosen %d times: %+v", i, counts[i], targets[i])
		}
	}
	if counts[0] == 0 || counts[4] == 0 {
		t.Errorf("counts %v: the usable targets were not both chosen", counts)
	}
}

func nobody(t *testing.T, make balance.New) {
	out := Targets(1, 1)
	out[0].Out, out[1].Out = true, true
	for name, targets := range map[string][]balance.Target{"no targets": nil, "no weights": Targets(0, 0), "all out": out} {
		if i := make(targets, 7).Pick(Client(1)); i != -1 {
			t.Errorf("%s: picked %d", name, i)
		}
	}
}

// starvation keeps a window of requests in flight whose targets differ tenfold in speed.
func starvation(t *testing.T, make balance.New) {
	targets := Targets(1, 1, 1, 1)
	b := make(targets, 0)
	counts, x := [4]int{}, &exchange.Exchange{}
	var window []int
	for n := range 8000 {
		SetClient(x, n)
		i := b.Pick(x)
		counts[i]++
		targets[i].Load.Begin()
		if window = append(window, i); len(window) == 16 {
			i := window[n%3]
			window = append(window[:n%3], window[n%3+1:]...)
			targets[i].Load.Observe(clock.Now(), int64(1+i*3)*1e6)
			targets[i].Load.End()
		}
	}
	for i, n := range counts {
		if n == 0 {
			t.Errorf("target %d starved: %v", i, counts)
		}
	}
}

func changingSets(t *testing.T, make balance.New) {
	all := Targets(1, 1, 1, 1, 1)
	for version := range 60 {
		targets := append([]balance.Target(nil), all[:1+version%5]...)
		targets[version%len(targets)].Out = len(targets) > 1
		for i, n := range Count(t, make(targets, uint64(version)), targets, 400) {
			if out := targets[i].Out; out != (n == 0) {
				t.Errorf("set %d: target %d (out %v) was chosen %d times", version, i, out, n)
			}
		}
	}
}

func concurrency(t *testing.T, make balance.New) {
	targets := Targets(2, 1, 0, 1)
	b := make(targets, 0)
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Go(func() {
			x := &exchange.Exchange{}
			for n := range 2000 {
				SetClient(x, g<<12|n)
				i := b.Pick(x)
				if i < 0 || targets[i].Weight == 0 {
					t.Errorf("picked %d", i)
					return
				}
				targets[i].Load.Begin()
				targets[i].Load.Observe(clock.Now(), int64(1+n%7)*1e5)
				targets[i].Load.End()
			}
		})
	}
	wait.Wait()
	for i := range targets {
		if n := targets[i].Load.InFlight(); n != 0 {
			t.Errorf("target %d has %d in flight after all ended", i, n)
		}
	}
}

func allocations(t *testing.T, make balance.New) {
	b, x := make(Targets(1, 2, 3), 0), Client(1)
	if n := testing.AllocsPerRun(100, func() { b.Pick(x) }); n != 0 {
		t.Errorf("a pick makes %v allocations", n)
	}
}
