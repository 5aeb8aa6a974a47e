package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// A reload keeps the servers that are still named, with what is known of them, and drains the others.
func TestReload(t *testing.T) {
	b := newBench(t)
	a := b.pools.server("http://a")

	before, err := b.LoadBalancer("web@file", LoadBalancer{Servers: servers("a", "b"), Strategy: "leasttime"})
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]*exchange.Exchange{}
	for range 2 {
		x := exchangetest.Request("GET", "/")
		if err := before.Handle(x); err != nil {
			t.Fatal(err)
		}
		whole, _ := exchange.WholeOf(x.Response.Body)
		open[string(whole)] = x
	}
	after, err := b.LoadBalancer("web@file", LoadBalancer{Servers: []Server{{URL: "http://a", Weight: 7}}})
	if err != nil {
		t.Fatal(err)
	}
	before.Close()
	before.Close()
	if s := states(after)[0]; a.opened != 1 || s.InFlight != 1 || s.Latency == 0 || s.Weight != 7 {
		t.Errorf("server a after the reload: %d pools, %+v", a.opened, s)
	}
	if n := b.pools.server("http://b").isClosed(); n != 0 {
		t.Error("connections with a request in flight were closed")
	}
	// A request that still holds the old snapshot is served, by b as well.
	if got := gets(before, 4); got["200 a"]+got["200 b"] != 4 {
		t.Errorf("got %v from the old service", got)
	}
	open["http://b"].Response.Close()
	if n := b.pools.server("http://b").isClosed(); n != 1 {
		t.Errorf("b was closed %d times", n)
	}
	if n := a.isClosed(); n != 0 {
		t.Error("a was closed")
	}
	open["http://a"].Response.Close()
	after.Close()
	if n := a.isClosed(); n != 1 || len(b.endpoints) != 0 {
		t.Errorf("a was closed %d times; left %v", n, b.endpoints)
	}
}

// Other settings mean other connections, but it is the same server.
func TestReloadWithAnotherTransport(t *testing.T) {
	b := newBench(t)
	c := LoadBalancer{Servers: servers("a", "b"), Strategy: "leasttime"}
	before := b.balancer("web@file", c)
	gets(before, 4)
	c.Transport = &Transport{DialTimeout: time.Second}
	c.PassHostHeader = true
	c.Servers[0].PreservePath = true
	after := b.balancer("web@file", c)
	before.Close()
	a := b.pools.server("http://a")
	if a.opened != 2 || a.isClosed() != 1 || states(after)[0].Latency == 0 {
		t.Errorf("%d pools opened, %d closed, %+v", a.opened, a.isClosed(), states(after))
	}
	if k := b.pools.keys[2]; !k.PassHost || !k.PreservePath || k.Transport != c.Transport {
		t.Errorf("pool of %+v", k)
	}
}

// Services of different names share nothing.
func TestServicesAreApart(t *testing.T) {
	b := newBench(t)
	one := b.balancer("one@file", LoadBalancer{Servers: servers("a")})
	two := b.balancer("two@file", LoadBalancer{Servers: servers("a")})
	x := exchangetest.Request("GET", "/")
	one.Handle(x)
	if n := states(two)[0].InFlight; n != 0 {
		t.Errorf("%d in flight on the other service", n)
	}
	x.Response.Close()
}

func TestSlowStartOfWhatJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		c := LoadBalancer{Servers: servers("a"), SlowStart: 10 * time.Second}
		before := b.balancer("web@file", c)
		if share := before.(*loadBalancer).members[0].load.Share(); share != 1 {
			t.Errorf("the first server of a service starts with %v", share)
		}
		c.Servers = servers("a", "b")
		after := b.balancer("web@file", c)
		before.Close()
		if n := gets(after, 1000)["200 b"]; n < 20 || n > 200 {
			t.Errorf("a server that joined got %d of 1000 requests", n)
		}
		time.Sleep(11 * time.Second)
		if n := gets(after, 1000)["200 b"]; n != 500 {
			t.Errorf("it got %d of 1000 requests in the end", n)
		}
		e := after.(*loadBalancer).members[0].endpoint
		e.setDown(true, exchange.DialFailed)
		e.setDown(false, nil)
		if share := e.load.Share(); share != 0.1 {
			t.Errorf("a server that came back starts with %v", share)
		}
	})
}
