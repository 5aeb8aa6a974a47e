package inflightreq

import (
	"hash/maphash"
	"sync"
)

// counts holds what is in flight by source. A source that has nothing in flight takes no memory.
type counts struct {
	shards [32]shard
}

type shard struct {
	mu  sync.Mutex
	all map[string]*count
	_   [48]byte // a cache line each
}

// count is the number of requests of a source; guarded by its shard's mu.
type count struct {
	key   string
	shard *shard
	n     int64
}

var seed = maphash.MakeSeed()

// enter counts a request of a source; nil when that has amount already.
func (c *counts) enter(key []byte, amount int64) *count {
	s := &c.shards[maphash.Bytes(seed, key)%uint64(len(c.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.all[string(key)]
	if n == nil {
		if s.all == nil {
			s.all = map[string]*count{}
		}
		n = &count{key: string(key), shard: s}
		s.all[n.key] = n
	}
	if n.n >= amount {
		return nil
	}
	n.n++
	return n
}

// leave counts a request as over.
func (c *counts) leave(n *count) {
	n.shard.mu.Lock()
	defer n.shard.mu.Unlock()
	if n.n--; n.n == 0 {
		delete(n.shard.all, n.key)
	}
}
