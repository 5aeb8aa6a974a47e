package route

import "slices"

// exactHosts is a persistent hash table from hosts to their trees of paths. Most routers ask for a
// host by name, and most requests are answered here: a table takes a fraction of the cache misses of
// a tree. It consists of shards so that a change copies little.
type exactHosts struct {
	shards [256]*shard
	count  int
	owner  *edit
}

// shard is a hash table with linear probing, at most three quarters full.
type shard struct {
	slots []slot // a power of two of them; no paths: free
	count int
	owner *edit
}

type slot struct {
	hash  uint64
	host  string
	paths *tree[paths]
}

// get returns the paths of a host in lower case; nil when there are none.
func (x *exactHosts) get(host []byte) *tree[paths] {
	hash := hashHost(host)
	s := x.shards[hash>>56]
	if s == nil {
		return nil
	}
	for i := hash; ; i++ {
		switch c := &s.slots[i&uint64(len(s.slots)-1)]; {
		case c.paths == nil:
			return nil
		case c.hash == hash && c.host == string(host):
			return c.paths
		}
	}
}

// change returns a table in which f was applied to the paths of host; nil when it is empty then.
func (x *exactHosts) change(e *edit, host string, f func(*tree[paths]) *tree[paths]) *exactHosts {
	if x == nil {
		x = &exactHosts{owner: e}
	} else if x.owner != e {
		c := *x
		c.owner = e
		x = &c
	}
	hash := hashHost([]byte(host))
	at := &x.shards[hash>>56]
	x.count -= (*at).len()
	*at = (*at).change(e, slot{hash: hash, host: host}, f)
	if x.count += (*at).len(); x.count == 0 {
		return nil
	}
	return x
}

func (s *shard) len() int {
	if s == nil {
		return 0
	}
	return s.count
}

func (s *shard) change(e *edit, key slot, f func(*tree[paths]) *tree[paths]) *shard {
	if s == nil {
		s = &shard{slots: make([]slot, 2), owner: e}
	} else if s.owner != e {
		s = &shard{slices.Clone(s.slots), s.count, e}
	}
	at := s.find(key)
	had := at.paths != nil
	key.paths = f(at.paths)
	if key.paths.top == nil {
		key.paths = nil
	}
	*at = key
	switch has := key.paths != nil; {
	case has && !had:
		if s.count++; s.count*4 > len(s.slots)*3 {
			s.resize(len(s.slots) * 2)
		}
	case had && !has:
		if s.count--; s.count == 0 {
			return nil
		}
		s.resize(len(s.slots)) // closes the gap
	}
	return s
}

// find returns the slot of key, or the free one where it would go.
func (s *shard) find(key slot) *slot {
	for i := key.hash; ; i++ {
		at := &s.slots[i&uint64(len(s.slots)-1)]
		if at.paths == nil || at.hash == key.hash && at.host == key.host {
			return at
		}
	}
}

// resize makes size slots of the occupied ones.
func (s *shard) resize(size int) {
	old := s.slots
	s.slots = make([]slot, size)
	for _, o := range old {
		if o.paths != nil {
			*s.find(o) = o
		}
	}
}
