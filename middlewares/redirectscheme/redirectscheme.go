// Package redirectscheme is the redirectScheme middleware: it sends clients to the same URL with
// another scheme or port.
package redirectscheme

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/middlewares/internal/redirect"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// Scheme is the scheme of the new URL.
	Scheme string `json:"scheme,omitempty"`
	// Port is the port of the new URL; empty is the scheme's default port.
	Port string `json:"port,omitempty"`
	// Permanent answers 301 or 308 instead of 302 or 307.
	Permanent bool `json:"permanent,omitempty"`
}

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	if config.Scheme == "" {
		return nil, errors.New("scheme is empty: set it to the scheme to redirect to, usually https")
	}
	for _, c := range []byte(config.Scheme) {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '-' || c == '.') {
			return nil, fmt.Errorf("scheme %q is not a scheme such as https", config.Scheme)
		}
	}
	scheme := strings.ToLower(config.Scheme)
	h := handler{scheme: []byte(scheme), permanent: config.Permanent}
	if config.Port != "" {
		if _, err := strconv.ParseUint(config.Port, 10, 16); err != nil {
			return nil, fmt.Errorf("port %q is not a port number", config.Port)
		}
		if !isDefault(scheme, config.Port) {
			h.port = []byte(config.Port)
		}
	}
	return func(next exchange.Handler) exchange.Handler {
		h := h
		h.next = next
		return &h
	}, nil
}

type handler struct {
	scheme, port []byte // no port when it is the scheme's default
	permanent    bool
	next         exchange.Handler
}

func isDefault[T string | []byte](scheme string, port T) bool {
	return scheme == "http" && string(port) == "80" || scheme == "https" && string(port) == "443"
}

// Handle redirects unless scheme and port are the wanted ones already.
func (h *handler) Handle(x *exchange.Exchange) error {
	r := &x.Request
	host, port := redirect.SplitPort(r.Host)
	if isDefault(r.Scheme, port) {
		port = nil
	}
	if r.Scheme == string(h.scheme) && string(port) == string(h.port) {
		return h.next.Handle(x)
	}
	authority := host
	if len(h.port) > 0 {
		authority = r.Join(host, []byte(":"), h.port)
	}
	redirect.Answer(x, redirect.URL(r, h.scheme, authority), h.permanent)
	return nil
}
