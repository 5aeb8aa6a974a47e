package balance_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance/balancetest"
)

func TestRoundRobinOrder(t *testing.T) {
	for _, c := range []struct {
		weights []int
		start   uint64
		want    string
	}{
		{[]int{1, 1, 1}, 0, "abcabcabc"},
		{[]int{1, 1, 1}, 2, "cabcabcab"},
		{[]int{2, 1}, 0, "abaabaaba"},
		{[]int{4, 2}, 0, "abaabaaba"},
		{[]int{5, 1, 1}, 0, "aaabcaa"},
		{[]int{0, 1}, 0, "bbb"},
	} {
		b := balance.NewRoundRobin(balancetest.Targets(c.weights...), c.start)
		if got := picks(b, len(c.want)); got != c.want {
			t.Errorf("weights %v from %d: %s, want %s", c.weights, c.start, got, c.want)
		}
	}
}

// Any stretch of picks, and not only a whole round, holds close to the right share, also where the
// round is too long to be laid out.
func TestRoundRobinIsSmooth(t *testing.T) {
	for _, weights := range [][]int{{1, 1, 1, 1}, {5, 3, 2}, {1, 60, 39}, {9973, 4001, 777}, {1000003, 999983}} {
		order := picks(balance.NewRoundRobin(balancetest.Targets(weights...), 0), 5000)
		total := 0
		for _, w := range weights {
			total += w
		}
		for i, w := range weights {
			seen := 0
			for n, c := range order {
				if int(c-'a') == i {
					seen++
				}
				ideal := float64(n+1) * float64(w) / float64(total)
				if diff := float64(seen) - ideal; diff > 3 || diff < -3 {
					t.Fatalf("weights %v: after %d picks target %d had %d, not %.1f", weights, n+1, i, seen, ideal)
				}
			}
		}
	}
}

func TestSlowStart(t *testing.T) {
	for _, name := range []string{"wrr", "p2c", "random"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				make, _ := balance.Named(name)
				targets := balancetest.Targets(1, 1)
				targets[1].Load.SlowStart(10 * time.Second)
				b, x := make(targets, 0), &exchange.Exchange{}
				share := func() float64 {
					n := 0
					for range 4000 {
						n += b.Pick(x)
					}
					return float64(n) / 4000
				}
				start, middle := share(), 0.0
				time.Sleep(5 * time.Second)
				middle = share()
				time.Sleep(6 * time.Second)
				end := share()
				if start > 0.2 || middle < start+0.05 || middle > 0.48 || end < 0.45 {
					t.Errorf("shares %.2f, %.2f, %.2f: want a ramp to one half", start, middle, end)
				}
				if targets[1].Load.Share() != 1 {
					t.Errorf("the ramp did not end")
				}
			})
		})
	}
}
