package route

import (
	"slices"
	"strings"
)

// edit is the right to change nodes in place: those made by the same edit, which nobody else can see
// yet. All other nodes are copied first, so what was published never changes.
type edit struct{ _ byte }

// ranked is something kept in a tree. Its best item is nil when it is empty.
type ranked interface{ best() *item }

// tree is a node of a persistent radix tree: a key is the labels on the way down. The zero value is
// an empty tree.
type tree[V ranked] struct {
	label  string     // what leads here from the parent
	firsts string     // the first byte of each child's label, in order
	kids   []*tree[V] // in the order of firsts
	top    *item      // the best item here and below; nil in an empty tree
	value  V
	owner  *edit
}

// child returns the child whose label begins with c, or nil.
func (t *tree[V]) child(c byte) *tree[V] {
	if i := strings.IndexByte(t.firsts, c); i >= 0 {
		return t.kids[i]
	}
	return nil
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
	c.kids, c.owner = slices.Clone(t.kids), e
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
	i := strings.IndexByte(t.firsts, key[0])
	if i < 0 {
		kid := &tree[V]{label: key, owner: e}
		kid = kid.change(e, "", f)
		if kid.top != nil {
			i, _ = slices.BinarySearch([]byte(t.firsts), key[0])
			t.firsts = t.firsts[:i] + key[:1] + t.firsts[i:]
			t.kids = slices.Insert(t.kids, i, kid)
		}
		t.rank()
		return t
	}
	kid := t.kids[i].own(e)
	if n := common(kid.label, key); n < len(kid.label) {
		upper := &tree[V]{label: kid.label[:n], firsts: kid.label[n : n+1], kids: []*tree[V]{kid}, owner: e}
		kid.label = kid.label[n:]
		kid = upper
	}
	kid = kid.change(e, key[len(kid.label):], f)
	t.kids[i] = kid
	t.tidy(e, i)
	t.rank()
	return t
}

// tidy removes child i when it is empty, and merges it with an only child.
func (t *tree[V]) tidy(e *edit, i int) {
	kid := t.kids[i]
	switch {
	case kid.value.best() != nil || len(kid.kids) > 1:
	case len(kid.kids) == 0:
		t.firsts = t.firsts[:i] + t.firsts[i+1:]
		t.kids = slices.Delete(t.kids, i, i+1)
	default:
		only := kid.kids[0].own(e)
		only.label = kid.label + only.label
		t.kids[i] = only
	}
}

// rank finds the best item again.
func (t *tree[V]) rank() {
	t.top = t.value.best()
	for _, kid := range t.kids {
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
