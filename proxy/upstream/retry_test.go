package upstream

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// Which requests go to a second server when the first fails, and what that one gets.
func TestRetry(t *testing.T) {
	timeout := func(x *exchange.Exchange) error { x.Record.Sent = true; return exchange.UpstreamTimeout }
	// A pooled connection that turned out to be dead before anything was written.
	unsent := func(x *exchange.Exchange) error { return exchange.UpstreamReset }
	begun := func(x *exchange.Exchange) error { x.Request.Body.Next(); return exchange.UpstreamReset }
	late := func(x *exchange.Exchange) error { x.Record.Sent = true; return exchange.DialFailed }
	full := func(x *exchange.Exchange) error { return exchange.Overloaded }
	whole := []byte("content")
	for _, c := range []struct {
		name   string
		method string
		body   any
		fails  exchange.HandlerFunc
		retry  bool
	}{
		{"dial, GET", "GET", nil, refuse, true},
		{"dial, POST", "POST", nil, refuse, true},
		{"dial, POST with content", "POST", whole, refuse, true},
		{"dial, POST with a stream", "POST", exchangetest.Pieces("con", "tent"), refuse, true},
		{"dial after something was sent", "POST", whole, late, false},
		{"full, POST", "POST", whole, full, true},
		{"reset, GET", "GET", nil, reset, true},
		{"reset, PUT with content", "PUT", whole, reset, true},
		{"reset, PUT with a stream", "PUT", exchangetest.Pieces("con", "tent"), reset, false},
		{"reset, POST", "POST", nil, reset, false},
		{"reset, POST with content", "POST", whole, reset, false},
		{"reset before anything was sent, POST with content", "POST", whole, unsent, true},
		{"reset before anything was sent, POST with a stream", "POST", exchangetest.Pieces("con", "tent"), unsent, false},
		{"content begun but not sent, POST", "POST", whole, begun, false},
		{"time-out, GET", "GET", nil, timeout, false},
		{"status 502, GET", "GET", nil, status(502), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			s := b.balancer("web@file", LoadBalancer{Servers: servers("a", "b")})
			b.pools.server("http://a").set(c.fails)
			var parts []any
			if c.body != nil {
				parts = append(parts, c.body)
			}
			x := exchangetest.Request(c.method, "/", parts...)
			original := x.Request.Body
			r := exchangetest.Do(s, x)
			if got := r.Status == 200; got != c.retry {
				t.Fatalf("answered %d %v", r.Status, r.Err)
			}
			second := b.pools.server("http://b")
			if !c.retry {
				if second.count() != 0 {
					t.Errorf("it was sent to a second server")
				}
				return
			}
			want := ""
			if c.body != nil {
				want = "content"
			}
			if x.Record.Attempts != 2 || second.bodies[0] != want {
				t.Errorf("%d attempts; the second server got %q", x.Record.Attempts, second.bodies)
			}
			if x.Request.Body != original {
				t.Errorf("the request has another body than before")
			}
		})
	}
}

func TestRetryIsBounded(t *testing.T) {
	b := newBench(t)
	s := b.balancer("web@file", LoadBalancer{Servers: servers("a", "b", "c", "d")})
	for _, n := range []string{"a", "b", "c", "d"} {
		b.pools.server("http://" + n).set(refuse)
	}
	x := exchangetest.Request("GET", "/")
	r := exchangetest.Do(s, x)
	if r.Status != 502 || !errors.Is(r.Err, exchange.DialFailed) || x.Record.Attempts != 3 {
		t.Errorf("%d %v after %d attempts", r.Status, r.Err, x.Record.Attempts)
	}
	for url, server := range b.pools.servers {
		if server.count() > 1 {
			t.Errorf("%s was tried %d times by one request", url, server.count())
		}
	}
}

func TestNoRetryForAClientThatIsGone(t *testing.T) {
	b := newBench(t)
	s := b.balancer("web@file", LoadBalancer{Servers: servers("a", "b")})
	b.pools.server("http://a").set(func(x *exchange.Exchange) error {
		x.Life.Cancel(exchange.ClientAbort)
		return exchange.DialFailed
	})
	get(s)
	if b.pools.server("http://b").count() != 0 {
		t.Error("it was sent to a second server")
	}
}

// Retries of what may have been received stop at a fifth of the requests once the savings are used.
func TestRetryBudget(t *testing.T) {
	b := newBench(t)
	s := b.balancer("web@file", LoadBalancer{Servers: servers("a", "b", "c")})
	for _, n := range []string{"a", "b", "c"} {
		b.pools.server("http://" + n).set(reset)
	}
	attempts := 0
	const requests = 2000
	for range requests {
		x := exchangetest.Request("GET", "/")
		exchangetest.Do(s, x)
		attempts += x.Record.Attempts
	}
	if most := requests + requests/5 + startCredit/retryCost; attempts > most || attempts < most-10 {
		t.Errorf("%d attempts for %d requests, want %d at most", attempts, requests, most)
	}
}

// What was saved up outlives a reload.
func TestRetryBudgetOverReloads(t *testing.T) {
	b := newBench(t)
	before := b.balancer("web@file", LoadBalancer{Servers: servers("a")})
	gets(before, 50)
	after := b.balancer("web@file", LoadBalancer{Servers: servers("a", "b")})
	if got := after.(*loadBalancer).budget.credit.Load(); got != startCredit+50 {
		t.Errorf("credit %d", got)
	}
}

// One of three servers dies and comes back again and again under load: no idempotent request fails, no
// other reaches two servers.
func TestServerKilledUnderLoad(t *testing.T) {
	b := newBench(t)
	s := b.balancer("web@file", LoadBalancer{Servers: servers("a", "b", "c")})
	var mu sync.Mutex
	received := map[string]int{} // by the number of the request
	dead := ""
	for _, n := range []string{"a", "b", "c"} {
		server := b.pools.server("http://" + n)
		server.set(func(x *exchange.Exchange) error {
			mu.Lock()
			isDead := dead == n
			id := string(x.Request.Query)
			if !isDead || id[len(id)-1]%2 == 0 { // half of them were received when it died
				received[id]++
				x.Record.Sent = true
			}
			mu.Unlock()
			if !isDead {
				return server.respond(x, 200)
			}
			if x.Record.Sent {
				return exchange.UpstreamReset
			}
			return exchange.DialFailed
		})
	}
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Go(func() {
			for n := range 1000 {
				if g == 0 && n%100 == 0 {
					mu.Lock()
					dead = []string{"a", "b", "c", ""}[n/100%4]
					mu.Unlock()
				}
				method := []string{"GET", "POST"}[n/2%2]
				id := fmt.Sprintf("%s-%d-%d", method, g, n)
				r := exchangetest.Do(s, exchangetest.Request(method, "/?"+id))
				if method == "GET" && r.Status != 200 {
					t.Errorf("%s failed: %v", id, r.Err)
				}
			}
		})
	}
	wait.Wait()
	for id, n := range received {
		if id[0] == 'P' && n > 1 {
			t.Errorf("%s reached %d servers", id, n)
		}
	}
}
