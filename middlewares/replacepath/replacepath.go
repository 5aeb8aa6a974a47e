// Package replacepath is the replacePath middleware: it replaces the request's path and tells the
// server the old one in X-Replaced-Path.
package replacepath

import (
	"errors"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/middlewares/internal/pathedit"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// Path is the new path.
	Path string `json:"path,omitempty"`
}

var replacedPath = exchange.NewName("X-Replaced-Path")

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	if config.Path == "" {
		return nil, errors.New("path is empty: set it to the path that replaces the request's")
	}
	path := urlpath.Literal(config.Path)
	return func(next exchange.Handler) exchange.Handler { return &handler{path, next} }, nil
}

type handler struct {
	path []byte
	next exchange.Handler
}

// Handle replaces the path.
func (h *handler) Handle(x *exchange.Exchange) error {
	old := x.Request.Path
	if err := pathedit.Set(&x.Request, h.path); err != nil {
		return err
	}
	x.Request.Header.SetBytes(replacedPath, old)
	return h.next.Handle(x)
}
