package hpack

import "github.com/pergola-mesh/pergola/proxy/fields"

// table is a dynamic table. RFC 7541 §2.3.2, §4.
//
// The entries' bytes lie one behind the other in mem, the oldest first; what was evicted leaves a gap in
// front, and what is left moves down when the end is reached. Memory comes as it is needed.
type table struct {
	mem     []byte
	end     int     // of the bytes in mem
	entries []entry // a ring whose length is a power of two
	oldest  int     // index into entries
	count   int
	size    int // as RFC 7541 §4.1 counts it
	max     int // what size may be
}

// entry is name and value in mem, one behind the other.
type entry struct {
	at, name, value int
	kind            fields.Kind
}

func (e *entry) size() int { return e.name + e.value + fields.Overhead }

// at returns the entry with a number from 1, the newest, to count.
func (t *table) at(n int) *entry {
	return &t.entries[(t.oldest+t.count-n)&(len(t.entries)-1)]
}

func (t *table) nameOf(e *entry) []byte  { return t.mem[e.at : e.at+e.name : e.at+e.name] }
func (t *table) valueOf(e *entry) []byte { return t.mem[e.at+e.name : e.at+e.name+e.value] }

// resize sets what size may be, and evicts what no longer fits. RFC 7541 §4.3.
func (t *table) resize(max int) {
	t.max = max
	t.evict(max)
	if max == 0 {
		t.mem, t.entries = nil, nil
	}
}

func (t *table) evict(to int) {
	for t.size > to {
		t.size -= t.entries[t.oldest].size()
		t.oldest = (t.oldest + 1) & (len(t.entries) - 1)
		t.count--
	}
	if t.count == 0 {
		t.end = 0
	}
}

// insert adds an entry and reports whether it fits: one that is larger than the table empties it.
// name and value must not be parts of mem. RFC 7541 §4.4.
func (t *table) insert(k fields.Kind, name, value string) bool {
	size := len(name) + len(value) + fields.Overhead
	if size > t.max {
		t.evict(0)
		return false
	}
	t.evict(t.max - size)
	if t.count == len(t.entries) {
		t.growEntries()
	}
	t.makeRoom(len(name) + len(value))
	e := entry{at: t.end, name: len(name), value: len(value), kind: k}
	t.end += copy(t.mem[t.end:], name)
	t.end += copy(t.mem[t.end:], value)
	t.entries[(t.oldest+t.count)&(len(t.entries)-1)] = e
	t.count++
	t.size += size
	return true
}

func (t *table) growEntries() {
	bigger := make([]entry, max(8, 2*len(t.entries)))
	for i := range t.count {
		bigger[i] = t.entries[(t.oldest+i)&(len(t.entries)-1)]
	}
	t.entries, t.oldest = bigger, 0
}

// makeRoom makes mem take n bytes more at its end.
func (t *table) makeRoom(n int) {
	if t.end+n <= len(t.mem) {
		return
	}
	from := t.end
	if t.count > 0 {
		from = t.entries[t.oldest].at
	}
	live := t.mem[from:t.end]
	to := t.mem
	if 2*(len(live)+n) > len(to) { // moving down would soon come again
		to = make([]byte, max(256, 2*(len(live)+n)))
	}
	t.end = copy(to, live)
	t.mem = to
	for i := range t.count {
		t.entries[(t.oldest+i)&(len(t.entries)-1)].at -= from
	}
}
