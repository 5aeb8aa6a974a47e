// Package addprefix is the addPrefix middleware: it puts a prefix in front of the request's path.
package addprefix

import (
	"errors"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/middlewares/internal/pathedit"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// Prefix is what is added; it should begin with "/".
	Prefix string `json:"prefix,omitempty"`
}

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	if config.Prefix == "" {
		return nil, errors.New("prefix is empty: set it to what is to be added, such as /api")
	}
	prefix := urlpath.Literal(config.Prefix)
	return func(next exchange.Handler) exchange.Handler { return &handler{prefix, next} }, nil
}

type handler struct {
	prefix []byte
	next   exchange.Handler
}

// Handle adds the prefix.
func (h *handler) Handle(x *exchange.Exchange) error {
	if err := pathedit.Set(&x.Request, h.prefix, x.Request.Path); err != nil {
		return err
	}
	return h.next.Handle(x)
}
