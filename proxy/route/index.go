package route

import (
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// item is an entry of a table with its priority settled. It is immutable.
type item struct {
	Entry
	priority int
}

func (i *item) best() *item { return i }

// before is the order in which a linear scan would try entries: higher priority, then lower rank, then
// name.
func (i *item) before(o *item) bool {
	if i.priority != o.priority {
		return i.priority > o.priority
	}
	if i.Rank != o.Rank {
		return i.Rank < o.Rank
	}
	return i.Name < o.Name
}

// better returns the one that comes first; nil comes last.
func better(a, b *item) *item {
	if a == nil || b != nil && b.before(a) {
		return b
	}
	return a
}

// candidate is an item that matches where it is kept, if the rest of its rule does too.
type candidate struct {
	item *item
	rest *expr // nil: nothing is left to check
}

// list is candidates in the order of their items. Parts of one rule may meet in a list.
type list struct {
	items []candidate
	owner *edit
}

func (l *list) best() *item {
	if l == nil || len(l.items) == 0 {
		return nil
	}
	return l.items[0].item
}

// change returns the list with a candidate added or removed.
func (l *list) change(e *edit, c candidate, add bool) *list {
	if l == nil {
		l = &list{owner: e}
	} else if l.owner != e {
		l = &list{slices.Clone(l.items), e}
	}
	at, found := slices.BinarySearchFunc(l.items, c.item, func(c candidate, i *item) int {
		switch {
		case c.item == i:
			return 0
		case c.item.before(i):
			return -1
		}
		return 1
	})
	if add {
		l.items = slices.Insert(l.items, at, c)
	} else if found {
		l.items = slices.Delete(l.items, at, at+1)
	}
	return l
}

// bucket holds the candidates of one host and path: those that ask for a field's value by that value,
// the others plain. It is never empty: nil is.
type bucket struct {
	plain  *list
	fields []field
	top    *item
	owner  *edit
}

// field holds candidates by the value of one header field or query parameter.
type field struct {
	kind   kind // headerExact or queryExact
	name   string
	header exchange.Name
	values *tree[*list]
}

func (b *bucket) best() *item {
	if b == nil {
		return nil
	}
	return b.top
}

// change returns the bucket with a candidate that asks for k added or removed.
func (b *bucket) change(e *edit, k key, c candidate, add bool) *bucket {
	if b == nil {
		b = &bucket{owner: e}
	} else if b.owner != e {
		b = &bucket{b.plain, slices.Clone(b.fields), b.top, e}
	}
	update := func(l *list) *list { return l.change(e, c, add) }
	if k.kind == noKind {
		b.plain = update(b.plain)
	} else {
		b.changeField(e, k, update)
	}
	b.top = b.plain.best()
	for i := range b.fields {
		b.top = better(b.top, b.fields[i].values.top)
	}
	if b.top == nil {
		return nil
	}
	return b
}

func (b *bucket) changeField(e *edit, k key, update func(*list) *list) {
	i := slices.IndexFunc(b.fields, func(f field) bool { return f.kind == k.kind && f.name == k.name })
	if i < 0 {
		i = len(b.fields)
		b.fields = append(b.fields, field{kind: k.kind, name: k.name, header: exchange.NewName(k.name)})
	}
	f := &b.fields[i]
	if f.values = f.values.change(e, k.text, update); f.values.top == nil {
		b.fields = slices.Delete(b.fields, i, i+1)
	}
}

// paths are the buckets of one path: for what begins with it and for what is it.
type paths struct{ prefix, exact *bucket }

func (p paths) best() *item { return better(p.prefix.best(), p.exact.best()) }

func (p paths) change(e *edit, at place, c candidate, add bool) paths {
	if at.keys[byPath].kind == pathExact {
		p.exact = p.exact.change(e, at.keys[byField], c, add)
	} else {
		p.prefix = p.prefix.change(e, at.keys[byField], c, add)
	}
	return p
}

// hosts are the trees of paths of one host, or of what ends with it; nil for none.
type hosts struct{ exact, label, deep, suffix *tree[paths] }

func (h hosts) best() *item {
	var best *item
	for _, t := range []*tree[paths]{h.exact, h.label, h.deep, h.suffix} {
		if t != nil {
			best = better(best, t.top)
		}
	}
	return best
}

func (h *hosts) of(k kind) **tree[paths] {
	switch k {
	case hostExact:
		return &h.exact
	case hostLabel:
		return &h.label
	case hostDeep:
		return &h.deep
	}
	return &h.suffix
}

// index finds candidates by host, read from its end, then path, then field.
type index struct {
	hosts   *tree[hosts]
	anyHost *tree[paths]
}

// change adds or removes all places of an item.
func (x *index) change(e *edit, i *item, add bool) {
	for _, at := range i.Rule.places {
		c := candidate{i, at.rest}
		inPaths := func(t *tree[paths]) *tree[paths] {
			return t.change(e, at.keys[byPath].text, func(p paths) paths { return p.change(e, at, c, add) })
		}
		k := at.keys[byHost]
		if k.kind == noKind {
			x.anyHost = inPaths(x.anyHost)
			continue
		}
		x.hosts = x.hosts.change(e, reversed(k.text), func(h hosts) hosts {
			slot := h.of(k.kind)
			*slot = inPaths(*slot)
			if (*slot).top == nil {
				*slot = nil
			}
			return h
		})
	}
}

func reversed(s string) string {
	var b strings.Builder
	for i := len(s) - 1; i >= 0; i-- {
		b.WriteByte(s[i])
	}
	return b.String()
}
