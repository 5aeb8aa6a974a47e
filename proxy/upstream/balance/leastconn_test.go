package balance_test

import (
	"testing"

	"github.com/pergola-mesh/pergola/proxy/upstream/balance"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance/balancetest"
)

func TestLeastConnTakesTheIdle(t *testing.T) {
	targets := balancetest.Targets(1, 1, 2)
	for range 2 {
		targets[0].Load.Begin()
	}
	for range 3 {
		targets[1].Load.Begin()
		targets[2].Load.Begin() // 3 by weight 2 is less than 2 by weight 1
	}
	if got := picks(balance.NewLeastConn(targets, 0), 4); got != "cccc" {
		t.Errorf("picked %s", got)
	}
	targets[2].Load.Begin() // 4/2 is as much as 2/1: they take turns, the busier b never
	if n := balancetest.Count(t, balance.NewLeastConn(targets, 0), targets, 300); n[1] != 0 || n[0] == 0 || n[2] == 0 {
		t.Errorf("picked %v", n)
	}
}

func TestTwoChoicesAvoidsTheBusiest(t *testing.T) {
	targets := balancetest.Targets(1, 1, 1)
	targets[1].Load.Begin()
	if n := balancetest.Count(t, balance.NewTwoChoices(targets, 0), targets, 600); n[1] != 0 {
		t.Errorf("picked %v: the busiest of any two must lose", n)
	}
}
