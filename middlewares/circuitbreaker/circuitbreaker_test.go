package circuitbreaker

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func config(expression string) Config {
	var c Config
	c.SetDefaults()
	c.Expression = expression
	return c
}

func build(t testing.TB, c Config, next exchange.Handler) exchange.Handler {
	t.Helper()
	m, err := New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return m(next)
}

// ask sends n requests and counts those that were let through.
func ask(h exchange.Handler, backend *exchangetest.Backend, n int) int {
	before := backend.Calls
	for range n {
		exchangetest.Do(h, exchangetest.Request("GET", "/"))
	}
	return backend.Calls - before
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &exchangetest.Backend{}
		h := build(t, config("ResponseCodeRatio(500, 600, 0, 600) > 0.5"), backend)
		if n := ask(h, backend, 10); n != 10 {
			t.Fatalf("%d of 10 while all is well", n)
		}
		backend.Status = 500
		time.Sleep(100 * time.Millisecond)
		ask(h, backend, 20) // looked at with the first of them
		time.Sleep(100 * time.Millisecond)
		if n := ask(h, backend, 20); n != 1 {
			t.Errorf("%d of 20 once most have failed", n)
		}
		r := exchangetest.Do(h, exchangetest.Request("GET", "/"))
		if r.Status != 503 || !errors.Is(r.Err, exchange.Overloaded) {
			t.Errorf("%d, %v while it is open", r.Status, r.Err)
		}
		time.Sleep(10*time.Second - time.Millisecond)
		if n := ask(h, backend, 20); n != 0 {
			t.Errorf("%d of 20 just before the end of the fallback", n)
		}
		time.Sleep(time.Millisecond)

		backend.Status = 200
		var shares []int
		for range 4 { // the recovery begins with the first request, and is looked at after 2.5 s each
			shares = append(shares, ask(h, backend, 100))
			time.Sleep(2500 * time.Millisecond)
		}
		for i, want := range []int{0, 25, 50, 75} {
			if shares[i] < want-8 || shares[i] > want+8 {
				t.Errorf("in recovery %v of 100 were let through, want about 0, 25, 50, 75", shares)
				break
			}
		}
		if n := ask(h, backend, 100); n != 100 {
			t.Errorf("%d of 100 after the recovery", n)
		}
	})
}

func TestOpensAgainInRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &exchangetest.Backend{Err: exchange.DialFailed}
		h := build(t, config("NetworkErrorRatio() > 0.3"), backend)
		if n := ask(h, backend, 10); n != 1 {
			t.Fatalf("%d of 10 let through", n)
		}
		time.Sleep(10 * time.Second)
		ask(h, backend, 1)
		time.Sleep(5 * time.Second)
		if n := ask(h, backend, 100); n != 1 {
			t.Errorf("%d of 100 let through in a recovery that fails", n)
		}
		time.Sleep(9 * time.Second)
		if n := ask(h, backend, 10); n != 0 {
			t.Errorf("%d of 10 let through in the fallback after it", n)
		}
	})
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &exchangetest.Backend{Before: func(*exchange.Exchange) { time.Sleep(50 * time.Millisecond) }}
		h := build(t, config("LatencyAtQuantileMS(50.0) > 100"), backend)
		if n := ask(h, backend, 20); n != 20 {
			t.Fatalf("%d of 20 at 50 ms", n)
		}
		backend.Before = func(*exchange.Exchange) { time.Sleep(150 * time.Millisecond) }
		if n := ask(h, backend, 40); n < 19 || n > 22 {
			t.Errorf("let %d through until half of all took 150 ms", n)
		}
	})
}

func TestOldRequestsDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &exchangetest.Backend{}
		h := build(t, config("ResponseCodeRatio(500, 600, 0, 600) > 0.5"), backend)
		ask(h, backend, 100)
		time.Sleep(11 * time.Second)
		backend.Status = 500
		if n := ask(h, backend, 10); n != 1 {
			t.Errorf("%d let through: a hundred good answers of 11 s ago count", n)
		}
	})
}

func TestClientsFaultsDoNotCount(t *testing.T) {
	backend := &exchangetest.Backend{Err: exchange.ClientAbort}
	h := build(t, config("ResponseCodeRatio(400, 600, 0, 600) > 0"), backend)
	if n := ask(h, backend, 10); n != 10 {
		t.Errorf("%d let through", n)
	}
}

func TestResponseCodeAndLog(t *testing.T) {
	var log bytes.Buffer
	c := config("NetworkErrorRatio() >= 1")
	c.ResponseCode = 418
	m, err := New(c, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	backend := &exchangetest.Backend{Err: exchange.UpstreamTimeout}
	h := m(backend)
	ask(h, backend, 1)
	if r := exchangetest.Do(h, exchangetest.Request("GET", "/")); r.Status != 418 || r.Err != nil || r.Body != "I'm a teapot" {
		t.Errorf("%d %q, %v", r.Status, r.Body, r.Err)
	}
	if !strings.Contains(log.String(), "the service is not asked for now") {
		t.Errorf("logged %q", log.String())
	}
}

func TestExpressions(t *testing.T) {
	var w window
	for range 6 {
		w.record(5e9, 200, int64(10*time.Millisecond))
	}
	for range 2 {
		w.record(6e9, 500, int64(time.Second))
	}
	w.record(6e9, 502, int64(2*time.Second))
	w.record(6e9, 404, int64(20*time.Millisecond))
	for text, want := range map[string]bool{
		"NetworkErrorRatio() == 0.1":                                true,
		"NetworkErrorRatio() > 0.1":                                 false,
		"0.3 <= ResponseCodeRatio(500, 600, 0, 600)":                true,
		"ResponseCodeRatio(500, 502, 400, 600) == 0.5":              true,
		"ResponseCodeRatio(500, 600, 300, 400) > 0":                 false,
		"LatencyAtQuantileMS(50.0) >= 10":                           true,
		"LatencyAtQuantileMS(60) < 10.5":                            true,
		"LatencyAtQuantileMS(100) > 1990":                           true,
		"LatencyAtQuantileMS(100) < 2070":                           true,
		"!(NetworkErrorRatio() > 0.05) || NetworkErrorRatio() != 0": true,
		"NetworkErrorRatio() > 0 && LatencyAtQuantileMS(99) > 5000": false,
	} {
		c, err := parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := c(&w); got != want {
			t.Errorf("%s is %v", text, got)
		}
	}
	for _, text := range []string{
		"", "NetworkErrorRatio()", "1", "NetworkErrorRatio() >", "NetworkErrorRatio(1) > 0", "LatencyAtQuantileMS() > 1",
		"LatencyAtQuantileMS(101) > 1", "ResponseCodeRatio(1, 2, 3) > 0", "ResponseCodeRatio(600, 500, 0, 600) > 0",
		"Nonsense() > 1", "NetworkErrorRatio() + 1", "-NetworkErrorRatio() > 0", "NetworkErrorRatio() > x", "os.Exit(1) > 0",
		`NetworkErrorRatio() > "1"`, "func() bool { return true }()", "NetworkErrorRatio() & 1 > 0",
	} {
		if _, err := parse(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestBuckets(t *testing.T) {
	for _, us := range []int64{0, 1, 31, 32, 33, 63, 64, 1000, 123456, 1e9, 1e11} {
		top := topOf(bucketOf(us * 1000))
		if top < uint64(us) || float64(top) > float64(us)*(1+1.0/32) {
			t.Errorf("%d µs counts as up to %d", us, top)
		}
	}
	if b := bucketOf(1<<63 - 1); b != buckets-1 {
		t.Errorf("bucket %d", b)
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	for _, change := range []func(*Config){
		func(c *Config) { c.Expression = "" },
		func(c *Config) { c.CheckPeriod = 0 },
		func(c *Config) { c.FallbackDuration = -1 },
		func(c *Config) { c.RecoveryDuration = 0 },
		func(c *Config) { c.ResponseCode = 99 },
	} {
		c := config("NetworkErrorRatio() > 0.5")
		change(&c)
		if _, err := New(c, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

func BenchmarkCircuitBreaker(b *testing.B) {
	m, err := New(config("NetworkErrorRatio() > 0.3 || LatencyAtQuantileMS(50.0) > 5000"), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	exchangetest.Bench(b, m, exchangetest.Request("GET", "/"))
}
