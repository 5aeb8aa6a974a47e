package meter

import (
	"sync"
	"sync/atomic"
)

// Table holds a value for each of a small, growing set of numbers, made when first asked for.
// Looking one up takes a few loads and no lock. The zero value is an empty table.
type Table[V any] struct {
	// near holds the entries that were there first, each where its number says: most look-ups end here.
	near  [nearSlots]atomic.Pointer[entry[V]]
	slots atomic.Pointer[[]*entry[V]] // a power of two of them, at most half of them taken; nil is free
	mu    sync.Mutex
	count int // guarded by mu
}

const nearSlots = 4

type entry[V any] struct {
	key   uint32
	value V
}

func hash(key uint32) uint32     { return key * 0x9e3779b1 }
func home(key uint32, n int) int { return int(hash(key)>>12) & (n - 1) }
func nearSlot(key uint32) uint32 { return hash(key) >> 30 }

// Near is Get for most keys that are there, and nil for others.
func (t *Table[V]) Near(key uint32) *V {
	if e := t.near[nearSlot(key)].Load(); e != nil && e.key == key {
		return &e.value
	}
	return nil
}

// Get returns the value of key; nil when there is none.
func (t *Table[V]) Get(key uint32) *V {
	p := t.slots.Load()
	if p == nil {
		return nil
	}
	slots := *p
	for i := home(key, len(slots)); slots[i] != nil; i = (i + 1) & (len(slots) - 1) {
		if slots[i].key == key {
			return &slots[i].value
		}
	}
	return nil
}

// Make returns the value of key; if there is none it becomes what fresh returns. When the table has limit
// values already it returns nil.
func (t *Table[V]) Make(key uint32, limit int, fresh func() V) *V {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.Get(key); v != nil {
		return v
	}
	if t.count >= limit {
		return nil
	}
	var old []*entry[V]
	if p := t.slots.Load(); p != nil {
		old = *p
	}
	size := max(len(old), 2)
	for size < 2*(t.count+1) {
		size *= 2
	}
	slots := make([]*entry[V], size)
	for _, e := range old {
		if e != nil {
			put(slots, e)
		}
	}
	e := &entry[V]{key, fresh()}
	put(slots, e)
	t.count++
	t.slots.Store(&slots)
	t.near[nearSlot(key)].CompareAndSwap(nil, e)
	return &e.value
}

func put[V any](slots []*entry[V], e *entry[V]) {
	i := home(e.key, len(slots))
	for slots[i] != nil {
		i = (i + 1) & (len(slots) - 1)
	}
	slots[i] = e
}

// All calls f with every key and value there is, in no order.
func (t *Table[V]) All(f func(key uint32, v *V)) {
	p := t.slots.Load()
	if p == nil {
		return
	}
	for _, e := range *p {
		if e != nil {
			f(e.key, &e.value)
		}
	}
}
