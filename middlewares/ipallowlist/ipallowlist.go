// Package ipallowlist is the ipAllowList middleware: it lets only the listed client addresses
// through.
package ipallowlist

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/pergola-mesh/pergola/middlewares/internal/clientip"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// SourceRange lists the addresses and CIDR ranges that are let through.
	SourceRange []string `json:"sourceRange,omitempty"`
	// IPStrategy says which address is the client's; unset is the entry point's resolution.
	IPStrategy *clientip.Config `json:"ipStrategy,omitempty" file:"allowEmpty"`
	// RejectStatusCode is what others are answered; 403 when unset.
	RejectStatusCode int `json:"rejectStatusCode,omitempty"`
}

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	if len(config.SourceRange) == 0 {
		return nil, errors.New("sourceRange is empty: list the addresses to let through")
	}
	allowed, err := clientip.ParseRanges(config.SourceRange)
	if err != nil {
		return nil, fmt.Errorf("sourceRange: %w", err)
	}
	strategy, err := clientip.New(config.IPStrategy)
	if err != nil {
		return nil, err
	}
	status := config.RejectStatusCode
	if status == 0 {
		status = http.StatusForbidden
	}
	if http.StatusText(status) == "" || status < 200 {
		return nil, fmt.Errorf("rejectStatusCode %d is not a status a request can be answered with", status)
	}
	return func(next exchange.Handler) exchange.Handler {
		return &handler{allowed, strategy, status, next}
	}, nil
}

var errOutside = exchange.Forbidden.With(errors.New("ipAllowList: the client's address is in none of the ranges"))

type handler struct {
	allowed  clientip.Ranges
	strategy *clientip.Strategy
	status   int
	next     exchange.Handler
}

// Handle rejects who is not listed, and who has no address that could be.
func (h *handler) Handle(x *exchange.Exchange) error {
	if addr := h.strategy.Of(x); addr.IsValid() && h.allowed.Contains(addr) {
		return h.next.Handle(x)
	}
	if h.status == http.StatusForbidden {
		return errOutside
	}
	x.Refuse(h.status)
	return nil
}
