// Package chain is the chain middleware: several others under one name.
package chain

import (
	"errors"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// Middlewares are the names of the others; the first sees the request first.
	Middlewares []string `json:"middlewares,omitempty"`
}

// New makes the middleware. Find returns the middleware of a name; it must not lead back here.
func New(config Config, find func(name string) (exchange.Middleware, error)) (exchange.Middleware, error) {
	if len(config.Middlewares) == 0 {
		return nil, errors.New("middlewares is empty: name those to chain")
	}
	links := make([]exchange.Middleware, len(config.Middlewares))
	for i, name := range config.Middlewares {
		var err error
		if links[i], err = find(name); err != nil {
			return nil, err
		}
	}
	return func(next exchange.Handler) exchange.Handler { return exchange.Chain(next, links...) }, nil
}
