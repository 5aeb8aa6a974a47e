// Package stripprefix is the stripPrefix middleware: it cuts the first matching prefix off the
// request's path and tells the server about it in X-Forwarded-Prefix.
package stripprefix

import (
	"bytes"
	"strings"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/middlewares/internal/pathedit"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// Prefixes are tried in order; the first that the path begins with is cut off.
	Prefixes []string `json:"prefixes,omitempty"`
	// ForceSlash is deprecated and changes nothing: a path always keeps a leading slash.
	ForceSlash *bool `json:"forceSlash,omitempty"`
}

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	prefixes := make([]prefix, len(config.Prefixes))
	for i, text := range config.Prefixes {
		prefixes[i] = prefix{urlpath.Literal(text), strings.TrimSpace(text)}
	}
	return func(next exchange.Handler) exchange.Handler { return &handler{prefixes, next} }, nil
}

type prefix struct {
	path  []byte
	shown string // in X-Forwarded-Prefix
}

type handler struct {
	prefixes []prefix
	next     exchange.Handler
}

// Handle cuts the first matching prefix off.
func (h *handler) Handle(x *exchange.Exchange) error {
	for i := range h.prefixes {
		p := &h.prefixes[i]
		if !bytes.HasPrefix(x.Request.Path, p.path) {
			continue
		}
		if err := pathedit.Cut(&x.Request, len(p.path)); err != nil {
			return err
		}
		x.Request.Header.Add(exchange.XForwardedPrefix, p.shown)
		break
	}
	return h.next.Handle(x)
}
