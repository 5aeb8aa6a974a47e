package balance_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance/balancetest"
)

// A server that was slow once is asked again within a second, and gets its share back when it has
// recovered.
func TestLeastTimeDoesNotStarve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		targets := balancetest.Targets(1, 1)
		b, x := balance.NewLeastTime(targets, 0), &exchange.Exchange{}
		took := [2]time.Duration{time.Millisecond, 50 * time.Millisecond}
		second := func() (counts [2]int) {
			for range 100 {
				time.Sleep(10 * time.Millisecond)
				i := b.Pick(x)
				counts[i]++
				targets[i].Load.Observe(clock.Now(), int64(took[i]))
			}
			return counts
		}
		second()
		for n := range 5 {
			if c := second(); c[1] < 1 || c[1] > 2 {
				t.Errorf("second %d: %v, want one or two probes of the slow server", n, c)
			}
		}
		took[1] = time.Millisecond / 2
		for range 120 {
			second()
		}
		if c := second(); c[1] < 90 {
			t.Errorf("%v after the slow server became the faster one", c)
		}
	})
}

// Servers that are about as fast share by weight, and do not all go to the one that is a little faster.
func TestLeastTimeTakesTheAlikeInTurn(t *testing.T) {
	targets := balancetest.Targets(1, 1, 2)
	for i := range targets {
		targets[i].Load.Observe(clock.Now(), int64(time.Millisecond)+int64(i)*1e5)
	}
	if got := picks(balance.NewLeastTime(targets, 0), 8); strings.Count(got, "c") != 4 || strings.Count(got, "a") != 2 {
		t.Errorf("picked %s", got)
	}
}

// While the answer to the first probe is out, a new server gets nothing more than probes.
func TestLeastTimeProbesBeforeItTrusts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		targets := balancetest.Targets(1, 1)
		targets[0].Load.Observe(clock.Now(), int64(time.Millisecond))
		b, x := balance.NewLeastTime(targets, 0), &exchange.Exchange{}
		sent := 0
		for range 100 {
			if b.Pick(x) == 1 {
				targets[1].Load.Begin()
				sent++
			}
		}
		if sent != 1 {
			t.Errorf("%d requests went to a server that never answered", sent)
		}
	})
}

func TestLatencyForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l balance.Load
		l.Observe(clock.Now(), int64(time.Second))
		time.Sleep(10 * time.Second)
		l.Observe(clock.Now(), 0)
		if got := l.Latency(); got < 350*time.Millisecond || got > 385*time.Millisecond {
			t.Errorf("average %v ten seconds later, want 1/e of a second", got)
		}
		// One that comes with an older time than the last is taken for simultaneous.
		l.Observe(clock.Now()-int64(5*time.Millisecond), int64(time.Second))
		if got := l.Latency(); got > 390*time.Millisecond {
			t.Errorf("average %v: one late observation replaced it", got)
		}
	})
}
