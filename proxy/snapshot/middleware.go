package snapshot

import (
	"errors"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
	"github.com/pergola-mesh/pergola/middlewares"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// newMiddleware makes the one instance of a middleware that all chains share.
func (b *Builder) newMiddleware(n *node, config *dynamic.Middleware) (exchange.Middleware, error) {
	return middlewares.New(middlewares.Env{
		Logger: b.options.Logger.With("middleware", n.name),
		Decode: decode,
		Service: func(name string) (exchange.Handler, error) {
			s, err := b.service(qualify(name, n.provider()))
			if err != nil {
				return nil, err
			}
			return s.handler, nil
		},
		Middleware: func(name string) (exchange.Middleware, error) {
			return b.middleware(qualify(name, n.provider()))
		},
		ReadFile: b.readFile,
	}, config.Kind, config.Config)
}

// middleware returns a middleware that the object being built asks for.
func (b *Builder) middleware(name string) (exchange.Middleware, error) {
	n, err := b.need(aMiddleware, name)
	if err != nil {
		return nil, err
	}
	return n.value.(exchange.Middleware), nil
}

// decode fills a middleware's configuration struct.
func decode(raw map[string]any, target any) error {
	var errs []error
	for _, p := range load.Decode(raw, target) {
		errs = append(errs, errors.New(complaint(p)))
	}
	return errors.Join(errs...)
}
