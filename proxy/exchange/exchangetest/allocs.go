package exchangetest

import (
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// ok is the cheapest of services.
var ok = exchange.HandlerFunc(func(x *exchange.Exchange) error {
	x.Respond(200, "", nil)
	return nil
})

// AllocatesNothing fails t when m, in front of a service that only says 200, allocates for x once
// its buffers are grown.
func AllocatesNothing(t *testing.T, m exchange.Middleware, x *exchange.Exchange) {
	t.Helper()
	NoAllocations(t, repeat(m, x))
}

// NoAllocations fails t when f allocates once its buffers are grown. Under the race detector, which
// allocates itself, f is run and nothing is counted.
func NoAllocations(t *testing.T, f func()) {
	t.Helper()
	Allocations(t, 0, f)
}

// Allocations is NoAllocations with leave for some, such as those of the standard library.
func Allocations(t *testing.T, leave float64, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, f); n > leave && !UnderRace {
		t.Errorf("%v allocations, %v at most", n, leave)
	}
}

// Bench runs x through m, in front of a service that only says 200.
func Bench(b *testing.B, m exchange.Middleware, x *exchange.Exchange) {
	again := repeat(m, x)
	b.ReportAllocs()
	for b.Loop() {
		again()
	}
}

// repeat returns a function that handles a pooled copy of x as a codec that reuses it would.
func repeat(m exchange.Middleware, x *exchange.Exchange) func() {
	h := m(ok)
	pooled := &exchange.Exchange{}
	var raw exchange.Header
	raw.CopyFrom(&x.Request.Header)
	return func() {
		pooled.Reset(x.Conn, x.Life, nil)
		r := &pooled.Request
		r.Method, r.Scheme, r.Proto = x.Request.Method, x.Request.Scheme, x.Request.Proto
		r.Host, r.Path, r.Target = x.Request.Host, x.Request.Path, x.Request.Target
		r.Query, r.HasQuery = x.Request.Query, x.Request.HasQuery
		r.Header.CopyFrom(&raw)
		if err := h.Handle(pooled); err != nil {
			exchange.Rescue(pooled, err)
		}
		pooled.Response.Close()
	}
}
