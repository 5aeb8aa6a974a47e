package route

import (
	"bytes"
	"slices"
	"strings"
)

// edit is the right to change nodes in place: those made by the same edit, which nobody else can see
// yet. All other nodes are copied first, so what was published never changes.
type edit struct{ _ byte }

// ranked is something kept in a tree. Its best item is nil when it is empty.
type ranked interface{ best() *item }

// tree is a node of a persistent radix tree: a key is the labels on the way down. The zero value is
// an empty tree. A node is one cache line, what a walk reads of a fork another.
type tree[V ranked] struct {
	label string   // what leads here from the parent
	fork  *fork[V] // where it goes on; nil in a leaf
	top   *item    // the best item here and below; nil in an empty tree
	owner *edit
	value V
}

// fork is the children of a node, and the first byte of each one's label.
type fork[V ranked] struct {
	few  [16]byte // the first bytes, as long as they fit
	many string   // the first bytes, when they do not
	kids []*tree[V]
	only [1]*tree[V] // the memory of kids when it is one, to spare a cache miss
}

// set replaces the children, in the order of the first bytes.
func (f *fork[V]) set(kids []*tree[V]) {
	if f.kids = kids; len(kids) == 1 {
		f.only[0] = kids[0]
		f.kids = f.only[:]
	}
}

func (f *fork[V]) index(c byte) int {
	switch {
	case f == nil:
		return -1
	case len(f.kids) == 1:
		if f.few[0] == c {
			return 0
		}
		return -1
	case f.many != "":
		return strings.IndexByte(f.many, c)
	}
	return bytes.IndexByte(f.few[:len(f.kids)], c)
}

// child returns the child whose label begins with c, or nil.
func (t *tree[V]) child(c byte) *tree[V] {
	if i := t.fork.index(c); i >= 0 {
		return t.fork.kids[i]
	}
	return nil
}

// kids returns the children, in no order.
func (t *tree[V]) kids() []*tree[V] {
	if t.fork == nil {
		return nil
	}
	return t.fork.kids
}

// setKids replaces the children.
func (t *tree[V]) setKids(kids []*tree[V]) {
	t.fork = nil
	if len(kids) == 0 {
		return
	}
	f := new(fork[V])
	f.set(kids)
	var firsts []byte
	for _, kid := range kids {
		firsts = append(firsts, kid.label[0])
	}
	if copy(f.few[:], firsts) < len(firsts) {
		f.many = string(firsts)
	}
	t.fork = f
}

// own returns t, or a copy of it that e may change.
func (t *tree[V]) own(e *edit) *tree[V] {
	if t == nil {
		return &tree[V]{owner: e}
	}
	if t.owner == e {
		return t
	}
	c := *t
	c.owner = e
	if t.fork != nil {
		f := *t.fork
		f.set(slices.Clone(f.kids))
		c.fork = &f
	}
	return &c
}

// change returns the tree with the value of key, which is zero where there was none, replaced by what f
// makes of it.
func (t *tree[V]) change(e *edit, key string, f func(V) V) *tree[V] {
	t = t.own(e)
	if key == "" {
		t.value = f(t.value)
		t.rank()
		return t
	}
	i := t.fork.index(key[0])
	if i < 0 {
		kid := (&tree[V]{label: key, owner: e}).change(e, "", f)
		if kid.top != nil {
			t.setKids(append(t.kids(), kid))
		}
		t.rank()
		return t
	}
	kid := t.fork.kids[i].own(e)
	if n := common(kid.label, key); n < len(kid.label) {
		upper := &tree[V]{label: kid.label[:n], owner: e}
		kid.label = kid.label[n:]
		upper.setKids([]*tree[V]{kid})
		kid = upper
	}
	kid = kid.change(e, key[len(kid.label):], f)
	t.fork.kids[i] = kid
	t.tidy(e, i)
	t.rank()
	return t
}

// tidy removes child i when it is empty, and merges it with an only child.
func (t *tree[V]) tidy(e *edit, i int) {
	kid := t.fork.kids[i]
	switch {
	case kid.value.best() != nil || len(kid.kids()) > 1:
	case len(kid.kids()) == 0:
		t.setKids(slices.Delete(t.fork.kids, i, i+1))
	default:
		only := kid.fork.kids[0].own(e)
		only.label = kid.label + only.label
		t.fork.kids[i] = only
	}
}

// rank finds the best item again.
func (t *tree[V]) rank() {
	t.top = t.value.best()
	for _, kid := range t.kids() {
		t.top = better(t.top, kid.top)
	}
}

// get returns the value of a key; zero when there is none.
func get[V ranked, K string | []byte](t *tree[V], key K) (v V) {
	for t != nil && len(key) > 0 {
		if t = t.child(key[0]); t == nil || len(key) < len(t.label) || string(key[:len(t.label)]) != t.label {
			return v
		}
		key = key[len(t.label):]
	}
	if t != nil {
		v = t.value
	}
	return v
}

// common is the length of the longest prefix that a and b share.
func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
