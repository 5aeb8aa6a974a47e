package chain_test

import (
	"errors"
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/chain"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// tag adds name to the field X-Order.
func tag(name string) (exchange.Middleware, error) {
	if name == "missing" {
		return nil, errors.New("no middleware missing")
	}
	return func(next exchange.Handler) exchange.Handler {
		return exchange.HandlerFunc(func(x *exchange.Exchange) error {
			x.Request.Header.Add(exchange.NewName("X-Order"), name)
			return next.Handle(x)
		})
	}, nil
}

func TestChain(t *testing.T) {
	m, err := chain.New(chain.Config{Middlewares: []string{"a", "b", "c"}}, tag)
	if err != nil {
		t.Fatal(err)
	}
	backend := &exchangetest.Backend{}
	exchangetest.Do(m(backend), exchangetest.Request("GET", "/"))
	if got := string(backend.Header.AppendTo(nil)); got != "X-Order: a\r\nX-Order: b\r\nX-Order: c\r\n" {
		t.Errorf("%q", got)
	}
	for _, names := range [][]string{nil, {"a", "missing"}} {
		if _, err := chain.New(chain.Config{Middlewares: names}, tag); err == nil {
			t.Errorf("%q is taken", names)
		}
	}
}
