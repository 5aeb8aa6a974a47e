package listen

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// Cap bounds how many there may be of something at a time. The zero value has no bound. It is safe
// for concurrent use.
type Cap struct {
	limit int64
	n     atomic.Int64
}

// NewCap returns a cap of limit; zero means none.
func NewCap(limit int) *Cap { return &Cap{limit: int64(limit)} }

// Take reports whether one more fits, and counts it if so.
func (c *Cap) Take() bool {
	if n := c.n.Add(1); c.limit > 0 && n > c.limit {
		c.n.Add(-1)
		return false
	}
	return true
}

// Give counts one less.
func (c *Cap) Give() { c.n.Add(-1) }

// Count is how many there are.
func (c *Cap) Count() int { return int(c.n.Load()) }

// clientCap bounds the connections of each client address; IPv6 clients own a /64.
type clientCap struct {
	limit  int
	shards [16]struct {
		mu sync.Mutex
		n  map[netip.Addr]int
	}
}

// clientKey is the address that a client is counted by.
func clientKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

func (c *clientCap) shard(a netip.Addr) int {
	b := a.As16()
	h := uint(0)
	for _, x := range b {
		h = h*31 + uint(x)
	}
	return int(h % uint(len(c.shards)))
}

func (c *clientCap) take(a netip.Addr) bool {
	if c.limit <= 0 {
		return true
	}
	s := &c.shards[c.shard(a)]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[a] >= c.limit {
		return false
	}
	if s.n == nil {
		s.n = map[netip.Addr]int{}
	}
	s.n[a]++
	return true
}

func (c *clientCap) give(a netip.Addr) {
	if c.limit <= 0 {
		return
	}
	s := &c.shards[c.shard(a)]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[a]--; s.n[a] <= 0 {
		delete(s.n, a)
	}
}
