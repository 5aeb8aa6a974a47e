// Package inflightconn is the inFlightConn middleware of TCP: it bounds the connections that one client
// address has at a time.
package inflightconn

import (
	"errors"
	"net/netip"
	"sync"

	"github.com/pergola-mesh/pergola/middlewares/internal/clientip"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// Amount is how many connections an address may have at a time.
	Amount int `json:"amount,omitempty"`
}

// New makes the middleware. Its count is over all routers that use it.
func New(config Config) (exchange.Gate, error) {
	if config.Amount <= 0 {
		return nil, errors.New("amount must be above 0: it is how many connections an address may have at a time")
	}
	return &gate{amount: config.Amount, open: map[netip.Addr]int{}}, nil
}

var errFull = exchange.TooManyRequests.With(errors.New("inFlightConn: the client's address has as many connections as it may"))

type gate struct {
	amount int
	mu     sync.Mutex
	open   map[netip.Addr]int
}

// Enter counts a connection, if there is room for it.
func (g *gate) Enter(c *exchange.Conn) error {
	client := clientip.Plain(c.Peer.Addr())
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open[client] >= g.amount {
		return errFull
	}
	g.open[client]++
	return nil
}

// Leave counts a connection as over.
func (g *gate) Leave(c *exchange.Conn) {
	client := clientip.Plain(c.Peer.Addr())
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open[client]--; g.open[client] == 0 {
		delete(g.open, client)
	}
}
