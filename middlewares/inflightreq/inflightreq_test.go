package inflightreq

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/internal/source"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func build(t testing.TB, config Config, next exchange.Handler) exchange.Handler {
	t.Helper()
	m, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return m(next)
}

// ask leaves the response open.
func ask(h exchange.Handler, host string) (*exchange.Exchange, error) {
	x := exchangetest.Request("GET", "http://"+host+"/")
	return x, h.Handle(x)
}

func TestPlacesUntilTheResponseIsOver(t *testing.T) {
	h := build(t, Config{Amount: 2}, &exchangetest.Backend{Text: "hello"})
	a, err := ask(h, "a.example")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := ask(h, "A.example:80")
	if _, err := ask(h, "a.example"); !errors.Is(err, exchange.TooManyRequests) {
		t.Errorf("the third of two: %v", err)
	}
	if x, err := ask(h, "b.example"); err != nil {
		t.Errorf("another source: %v", err)
	} else {
		x.Response.Close()
	}
	a.Response.Close()
	a.Response.Close()
	c, err := ask(h, "a.example")
	if err != nil {
		t.Errorf("after one is over: %v", err)
	}
	if _, err := ask(h, "a.example"); err == nil {
		t.Error("closing a response twice made two places")
	}
	b.ResetResponse() // as another attempt, or another answer, does
	c.Respond(500, "", nil)
	for range 2 {
		if _, err := ask(h, "a.example"); err != nil {
			t.Errorf("after all are over: %v", err)
		}
	}
}

// releases counts.
type releases int

func (r *releases) Release() { *r++ }

func TestFailuresAndServices(t *testing.T) {
	var inner releases
	fail := true
	h := build(t, Config{Amount: 1}, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		if fail {
			return exchange.DialFailed
		}
		x.Response.Status, x.Response.Releaser = 200, &inner
		return nil
	}))
	for range 3 {
		if _, err := ask(h, "a"); !errors.Is(err, exchange.DialFailed) {
			t.Fatalf("a failure keeps its place: %v", err)
		}
	}
	fail = false
	x, err := ask(h, "a")
	if err != nil || inner != 0 {
		t.Fatal(err, inner)
	}
	x.Response.Close()
	if inner != 1 {
		t.Errorf("the service was told %d times that the response is over", inner)
	}

	panics := build(t, Config{Amount: 1}, exchange.HandlerFunc(func(*exchange.Exchange) error { panic("oops") }))
	for range 2 {
		func() {
			defer func() {
				if recover() != "oops" {
					t.Error("the panic did not pass")
				}
			}()
			ask(panics, "a")
		}()
	}
}

func TestNoMoreThanAmountAtOnce(t *testing.T) {
	var now, most, refused atomic.Int64
	h := build(t, Config{Amount: 3, SourceCriterion: &source.Config{RequestHeaderName: "X-Key"}},
		exchange.HandlerFunc(func(x *exchange.Exchange) error {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			x.Response.Status = 204
			return nil
		}))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				x := exchangetest.Request("GET", "/", "X-Key: k")
				if err := h.Handle(x); err != nil {
					refused.Add(1)
					continue
				}
				now.Add(-1)
				x.Response.Close()
			}
		})
	}
	all.Wait()
	if most.Load() > 3 {
		t.Errorf("%d at once", most.Load())
	}
	for range 3 {
		if _, err := ask(h, "a"); err != nil {
			t.Errorf("places are lost: %v", err)
		}
	}
}

func TestNothingIsKeptOfSources(t *testing.T) {
	m, _ := New(Config{Amount: 1})
	h := m(&exchangetest.Backend{}).(*handler)
	for _, host := range []string{"a", "b", "c"} {
		x, _ := ask(h, host)
		x.Response.Close()
	}
	for i := range h.counts.shards {
		if n := len(h.counts.shards[i].all); n != 0 {
			t.Errorf("%d sources are kept", n)
		}
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	for _, c := range []Config{{}, {Amount: -1}, {Amount: 1, SourceCriterion: &source.Config{RequestHost: true, RequestHeaderName: "a"}}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

func BenchmarkInFlightReq(b *testing.B) {
	m, _ := New(Config{Amount: 10})
	exchangetest.Bench(b, m, exchangetest.Request("GET", "http://a.example/"))
}
