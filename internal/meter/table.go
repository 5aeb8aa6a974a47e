package meter

import (
	"sync"
	"sync/atomic"
)

// Table holds a value for each of a small, growing set of numbers, made when first asked for.
// Looking one up takes a few loads and no lock. The zero value is an empty table.
type Table[V any] struct {
	slots atomic.Pointer[[]slot[V]] // a power of two of them, at most half of them taken
	mu    sync.Mutex
	count int // guarded by mu
}

type slot[V any] struct {
	key   uint32 // 0 is free
	value *V
}

func home(key uint32, n int) int { return int(key*0x9e3779b1>>12) & (n - 1) }

// Get returns the value of key, which is not 0; nil when there is none.
func (t *Table[V]) Get(key uint32) *V {
	p := t.slots.Load()
	if p == nil {
		return nil
	}
	slots := *p
	for i := home(key, len(slots)); slots[i].key != 0; i = (i + 1) & (len(slots) - 1) {
		if slots[i].key == key {
			return slots[i].value
		}
	}
	return nil
}

// Make returns the value of key, which is not 0; if there is none it becomes what fresh returns. When
// the table has limit values already it returns nil.
func (t *Table[V]) Make(key uint32, limit int, fresh func() *V) *V {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.Get(key); v != nil {
		return v
	}
	if t.count >= limit {
		return nil
	}
	var old []slot[V]
	if p := t.slots.Load(); p != nil {
		old = *p
	}
	size := max(len(old), 2)
	for size < 2*(t.count+1) {
		size *= 2
	}
	slots := make([]slot[V], size)
	for _, s := range old {
		if s.key != 0 {
			put(slots, s)
		}
	}
	v := fresh()
	put(slots, slot[V]{key, v})
	t.count++
	t.slots.Store(&slots)
	return v
}

func put[V any](slots []slot[V], s slot[V]) {
	i := home(s.key, len(slots))
	for slots[i].key != 0 {
		i = (i + 1) & (len(slots) - 1)
	}
	slots[i] = s
}

// All calls f with every key and value there is, in no order.
func (t *Table[V]) All(f func(key uint32, v *V)) {
	p := t.slots.Load()
	if p == nil {
		return
	}
	for _, s := range *p {
		if s.key != 0 {
			f(s.key, s.value)
		}
	}
}
