package middlewares

import (
	"io"
	"log/slog"
	"testing"

	"github.com/pergola-mesh/pergola/config/load"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// BenchmarkChain is a request through chains of middlewares that a route may well have, to a handler that
// answers at once.
func BenchmarkChain(b *testing.B) {
	kinds := []struct {
		kind   string
		config map[string]any
	}{
		{"ipAllowList", map[string]any{"sourceRange": []any{"192.0.2.0/24"}}},
		{"headers", map[string]any{"customRequestHeaders": map[string]any{"X-Zone": "a"}}},
		{"stripPrefix", map[string]any{"prefixes": []any{"/api"}}},
		{"retry", map[string]any{"attempts": 2}},
		{"addPrefix", map[string]any{"prefix": "/v1"}},
	}
	decode := func(raw map[string]any, target any) error {
		if problems := load.Decode(raw, target); len(problems) > 0 {
			b.Fatal(problems)
		}
		return nil
	}
	var links []exchange.Middleware
	for _, k := range kinds {
		m, err := New(Env{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Decode: decode}, k.kind, k.config)
		if err != nil {
			b.Fatal(err)
		}
		links = append(links, m)
	}
	end := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Respond(200, "text/plain", nil)
		return nil
	})
	for _, n := range []struct {
		name string
		many int
	}{{"none", 0}, {"one", 1}, {"three", 3}, {"five", 5}} {
		b.Run(n.name, func(b *testing.B) {
			h := exchange.Chain(end, links[:n.many]...)
			x := exchangetest.Request("GET", "/api/items?page=2", "Accept: */*")
			b.ReportAllocs()
			for b.Loop() {
				x.Reset(x.Conn, x.Life, nil)
				x.Record = exchange.Record{}
				x.Request.Method, x.Request.Scheme, x.Request.Proto = "GET", "http", exchange.HTTP11
				x.Request.Host, x.Request.Path = host, path
				if err := h.Handle(x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var host, path = []byte("example.com"), []byte("/api/items")
