package upstream

import (
	"maps"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance/balancetest"
)

// fakeChild is a service that says its name.
type fakeChild struct {
	name            string
	checked, health bool
}

func (c *fakeChild) Checked() bool { return c.checked }
func (c *fakeChild) Healthy() bool { return c.health }

func (c *fakeChild) Handle(x *exchange.Exchange) error {
	x.Respond(200, "", []byte("http://"+c.name))
	return nil
}

func (c *fakeChild) child() Child { return Child{Name: c.name, Handler: c, Health: c} }

func newChild(name string) *fakeChild { return &fakeChild{name, true, true} }

func weighted(children ...*fakeChild) (list []WeightedChild) {
	for i, c := range children {
		list = append(list, WeightedChild{c.child(), i + 1})
	}
	return list
}

func TestWeighted(t *testing.T) {
	b := newBench(t)
	one, two := newChild("one"), newChild("two")
	s, err := b.Weighted("both@file", Weighted{Services: weighted(one, two), HealthCheck: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := gets(s, 30); !maps.Equal(got, map[string]int{"200 one": 10, "200 two": 20}) {
		t.Errorf("got %v", got)
	}
	two.health = false
	if got := gets(s, 30); !maps.Equal(got, map[string]int{"200 one": 30}) || !s.Healthy() || !s.Checked() {
		t.Errorf("got %v with one service down", got)
	}
	one.health = false
	if got := get(s); got != "503" || s.Healthy() {
		t.Errorf("got %s with both down", got)
	}
	two.health = true
	if got := get(s); got != "200 two" {
		t.Errorf("got %s with one up again", got)
	}
}

// Without healthCheck the state of the children does not matter.
func TestWeightedIgnoresHealthUnlessAsked(t *testing.T) {
	b := newBench(t)
	one, two := newChild("one"), newChild("two")
	one.health, two.checked = false, false
	s, err := b.Weighted("both@file", Weighted{Services: weighted(one, two)})
	if err != nil {
		t.Fatal(err)
	}
	if got := gets(s, 3); got["200 one"] != 1 || s.Checked() || !s.Healthy() {
		t.Errorf("got %v", got)
	}
	_, err = b.Weighted("both@file", Weighted{Services: weighted(one, two), HealthCheck: true})
	if err == nil || !strings.Contains(err.Error(), "its service two has none") {
		t.Errorf("got %v", err)
	}
}

func TestWeightedSticky(t *testing.T) {
	b := newBench(t)
	one, two := newChild("one"), newChild("two")
	s, err := b.Weighted("both@file", Weighted{Services: weighted(one, two), Sticky: &Cookie{Name: "c"}, HealthCheck: true})
	if err != nil {
		t.Fatal(err)
	}
	r := exchangetest.Do(s, exchangetest.Request("GET", "/"))
	cookie, _, _ := strings.Cut(r.Get("Set-Cookie"), ";")
	for range 5 {
		again := exchangetest.Do(s, exchangetest.Request("GET", "/", "Cookie: x=y; "+cookie))
		if again.Body != r.Body || again.Has("Set-Cookie") {
			t.Errorf("%s after %s, Set-Cookie %q", again.Body, r.Body, again.Get("Set-Cookie"))
		}
	}
	map[string]*fakeChild{"http://one": one, "http://two": two}[r.Body].health = false
	again := exchangetest.Do(s, exchangetest.Request("GET", "/", "Cookie: "+cookie))
	if again.Body == r.Body || !again.Has("Set-Cookie") {
		t.Errorf("%s after %s went down", again.Body, r.Body)
	}
}

func TestHighestRandomWeight(t *testing.T) {
	b := newBench(t)
	one, two := newChild("one"), newChild("two")
	s, err := b.HighestRandomWeight("both@file", HighestRandomWeight{Services: weighted(one, two), HealthCheck: true})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	client := func(n int) func(x *exchange.Exchange) {
		return func(x *exchange.Exchange) { balancetest.SetClient(x, n) }
	}
	for n := range 300 {
		r := get(s, client(n))
		counts[r]++
		if again := get(s, client(n)); again != r {
			t.Errorf("client %d got %s, then %s", n, r, again)
		}
	}
	if counts["200 two"] < 160 || counts["200 one"] < 60 {
		t.Errorf("got %v, want one third and two thirds", counts)
	}
	two.health = false
	if got := get(s, client(1)); got != "200 one" {
		t.Errorf("got %s with two down", got)
	}
}

// Health goes up a tree of services.
func TestHealthPropagates(t *testing.T) {
	b := newBench(t)
	leaf := newChild("leaf")
	must := func(s Service, err error) Child {
		if err != nil {
			t.Fatal(err)
		}
		return Child{Name: "inner", Handler: s, Health: s}
	}
	inner := must(b.Weighted("w@file", Weighted{Services: weighted(leaf), HealthCheck: true}))
	inner = must(b.Mirroring("m@file", Mirroring{Service: inner, HealthCheck: true}))
	spare := newChild("spare")
	inner = must(b.Failover("f@file", Failover{Service: inner, Fallback: spare.child(), HealthCheck: true}))
	top := must(b.HighestRandomWeight("h@file", HighestRandomWeight{Services: []WeightedChild{{inner, 1}}, HealthCheck: true}))
	if got := get(top.Handler); got != "200 leaf" || !top.healthy() {
		t.Errorf("got %s, healthy %v", got, top.healthy())
	}
	leaf.health = false
	if got := get(top.Handler); got != "200 spare" || !top.healthy() {
		t.Errorf("got %s, healthy %v with the leaf down", got, top.healthy())
	}
	spare.health = false
	if got := get(top.Handler); got != "503" || top.healthy() {
		t.Errorf("got %s, healthy %v with both down", got, top.healthy())
	}
	leaf.health = true
	if got := get(top.Handler); got != "200 leaf" || !top.healthy() {
		t.Errorf("got %s, healthy %v with the leaf up again", got, top.healthy())
	}
}
