package upstream

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// A server that cannot be reached is ejected after three requests, for a second, then for two and so on,
// until it is reached again.
func TestEjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		s := b.balancer("web@file", LoadBalancer{Servers: servers("a", "b")})
		a := b.pools.server("http://a")
		a.set(refuse)
		if got := gets(s, 20); !maps.Equal(got, map[string]int{"200 b": 20}) || a.count() != 3 {
			t.Errorf("got %v, a was tried %d times", got, a.count())
		}
		if st := states(s)[0]; st.Status != StatusDown || !st.Ejected || s.Status()["http://b"] != StatusUp || !s.Healthy() {
			t.Errorf("%+v", st)
		}
		for n, wait := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			time.Sleep(wait*time.Second - time.Millisecond)
			gets(s, 10)
			if a.count() != 3+n {
				t.Errorf("a was tried within %d s after ejection %d", wait, n+1)
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			gets(s, 10)
			if a.count() != 4+n {
				t.Errorf("a was tried %d times after ejection %d ended", a.count()-3-n, n+1)
			}
		}
		a.set(nil)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := gets(s, 10); got["200 a"] != 5 {
			t.Errorf("got %v after a came back", got)
		}
		a.set(refuse)
		before := a.count()
		gets(s, 20)
		if n := a.count() - before; n != 3 {
			t.Errorf("after a success it took %d failures, want 3", n)
		}
	})
}

func TestSuccessBetweenFailures(t *testing.T) {
	b := newBench(t)
	s := b.balancer("web@file", LoadBalancer{Servers: servers("a")})
	a := b.pools.server("http://a")
	for range 5 {
		a.set(reset)
		gets(s, 2)
		if st := states(s)[0]; st.Ejected {
			t.Errorf("%+v: there were never three failures in a row", st)
		}
		a.set(nil)
		gets(s, 1)
	}
}

// What is the client's doing does not speak against a server.
func TestClientsFaults(t *testing.T) {
	b := newBench(t)
	s := b.balancer("web@file", LoadBalancer{Servers: servers("a")})
	for _, fail := range []exchange.HandlerFunc{
		func(x *exchange.Exchange) error { return exchange.ClientAbort },
		func(x *exchange.Exchange) error { return exchange.BodyTooLarge },
		func(x *exchange.Exchange) error { return exchange.Overloaded },
		func(x *exchange.Exchange) error { x.Life.Cancel(exchange.ClientAbort); return exchange.UpstreamReset },
		status(500),
	} {
		b.pools.server("http://a").set(fail)
		gets(s, 10)
		if st := states(s)[0]; st.Ejected {
			t.Errorf("%+v", st)
		}
	}
}

// Ejections never leave nobody, nor so few that they would be overrun.
func TestEjectionsAreIgnoredWhenTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		s := b.balancer("web@file", LoadBalancer{Servers: servers("a", "b", "c", "d")})
		for _, n := range []string{"a", "b"} {
			b.pools.server("http://" + n).set(refuse)
		}
		gets(s, 40)
		if n := b.pools.server("http://a").count(); n != 3 {
			t.Errorf("with half of the servers left, a was tried %d times", n)
		}
		b.pools.server("http://c").set(refuse)
		if got := gets(s, 40); got["200 d"] != 40 {
			t.Errorf("got %v", got)
		}
		if n := b.pools.server("http://a").count(); n < 8 {
			t.Errorf("with a quarter of the servers left, a was tried only %d times", n)
		}
		b.pools.server("http://d").set(refuse)
		gets(s, 40)
		b.pools.server("http://d").set(nil)
		if got := gets(s, 4); got["200 d"] == 0 {
			t.Errorf("got %v: with all ejected, all are to be tried", got)
		}
		if st := states(s)[3]; st.Ejected {
			t.Errorf("%+v: it answered, so it is not ejected any more", st)
		}
	})
}

// The answer to a request from before the ejection says nothing about now.
func TestLateSuccessDoesNotReadmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		s := b.balancer("web@file", LoadBalancer{Servers: servers("a", "b")})
		a := b.pools.server("http://a")
		a.set(func(x *exchange.Exchange) error {
			time.Sleep(500 * time.Millisecond)
			return a.respond(x, 200)
		})
		go exchangetest.Do(s, exchangetest.Request("GET", "/"))
		time.Sleep(time.Millisecond)
		a.set(refuse)
		gets(s, 10)
		time.Sleep(600 * time.Millisecond)
		if st := states(s)[0]; !st.Ejected {
			t.Errorf("%+v", st)
		}
	})
}

// A configured passive health check counts statuses too, within its window, and makes the service
// unhealthy.
func TestPassiveHealthCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		s := b.balancer("web@file", LoadBalancer{Servers: servers("a"), PassiveHealthCheck: &PassiveHealthCheck{
			FailureWindow: 10 * time.Second, MaxFailedAttempts: 3,
		}})
		a := b.pools.server("http://a")
		fail := func(n int) {
			a.set(status(503))
			gets(s, n)
			a.set(nil)
			gets(s, 1)
		}
		fail(2)
		time.Sleep(11 * time.Second)
		fail(2)
		if !s.Healthy() || !s.Checked() {
			t.Error("unhealthy after two failures in the window, and two before")
		}
		fail(1)
		if s.Healthy() {
			t.Error("healthy after three failures in the window")
		}
		if got := get(s); got != "200 a" {
			t.Errorf("got %s: the last server stays in use", got)
		}
		time.Sleep(9 * time.Second)
		if s.Healthy() {
			t.Error("healthy before the window is over")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !s.Healthy() {
			t.Error("unhealthy after the window")
		}
	})
}
