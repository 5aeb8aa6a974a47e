// Package ipallowlist is the ipAllowList middleware of TCP: it lets only the listed client addresses
// through.
package ipallowlist

import (
	"errors"
	"fmt"

	"github.com/pergola-mesh/pergola/middlewares/internal/clientip"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// SourceRange lists the addresses and CIDR ranges that are let through.
	SourceRange []string `json:"sourceRange,omitempty"`
}

// New makes the middleware.
func New(config Config) (exchange.Gate, error) {
	if len(config.SourceRange) == 0 {
		return nil, errors.New("sourceRange is empty: list the addresses to let through")
	}
	allowed, err := clientip.ParseRanges(config.SourceRange)
	if err != nil {
		return nil, fmt.Errorf("sourceRange: %w", err)
	}
	return gate{allowed}, nil
}

var errOutside = exchange.Forbidden.With(errors.New("ipAllowList: the client's address is in none of the ranges"))

type gate struct{ allowed clientip.Ranges }

// Enter refuses who is not listed.
func (g gate) Enter(c *exchange.Conn) error {
	if addr := clientip.Plain(c.Peer.Addr()); addr.IsValid() && g.allowed.Contains(addr) {
		return nil
	}
	return errOutside
}

// Leave does nothing.
func (gate) Leave(*exchange.Conn) {}
