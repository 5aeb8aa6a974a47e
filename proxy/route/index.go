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

// candidates are in the order of their items. Parts of one rule may meet here.
type candidates []candidate

func (l candidates) best() *item {
	if len(l) == 0 {
		return nil
	}
	return l[0].item
}

// change adds or removes a candidate, in place.
func (l candidates) change(c candidate, add bool) candidates {
	at, found := slices.BinarySearchFunc(l, c.item, func(c candidate, i *item) int {
		switch {
		case c.item == i:
			return 0
		case c.item.before(i):
			return -1
		}
		return 1
	})
	if add {
		return slices.Insert(l, at, c)
	} else if found {
		return slices.Delete(l, at, at+1)
	}
	return l
}

// list is candidates kept in a tree.
type list struct {
	candidates
	owner *edit
}

func (l *list) best() *item {
	if l == nil {
		return nil
	}
	return l.candidates.best()
}

// change returns the list with a candidate added or removed.
func (l *list) change(e *edit, c candidate, add bool) *list {
	if l == nil {
		l = &list{owner: e}
	} else if l.owner != e {
		l = &list{slices.Clone(l.candidates), e}
	}
	l.candidates = l.candidates.change(c, add)
	return l
}

// bucket holds the candidates of one host and path: those that ask for a field's value by that value,
// the others plain. It is never empty: nil is.
type bucket struct {
	plain  candidates
	top    *item
	fields []field
	owner  *edit
	single [1]candidate // the memory of plain when it is one, to spare a cache miss
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
		b = &bucket{plain: slices.Clone(b.plain), fields: slices.Clone(b.fields), owner: e}
	}
	if k.kind == noKind {
		if b.plain = b.plain.change(c, add); len(b.plain) == 1 {
			b.single[0] = b.plain[0]
			b.plain = b.single[:]
		}
	} else {
		b.changeField(e, k, func(l *list) *list { return l.change(e, c, add) })
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

// hosts are the trees of paths of what ends with one text; nil for none.
type hosts struct{ label, deep, suffix *tree[paths] }

func (h hosts) best() *item {
	var best *item
	for _, t := range []*tree[paths]{h.label, h.deep, h.suffix} {
		if t != nil {
			best = better(best, t.top)
		}
	}
	return best
}

func (h *hosts) of(k kind) **tree[paths] {
	switch k {
	case hostLabel:
		return &h.label
	case hostDeep:
		return &h.deep
	}
	return &h.suffix
}

// index finds candidates by host, then path, then field.
type index struct {
	exact   *exactHosts
	endings *tree[hosts] // hosts read from their end
	anyHost *tree[paths]
}

// change adds or removes all places of an item.
func (x *index) change(e *edit, i *item, add bool) {
	for _, at := range i.Rule.places {
		c := candidate{i, at.rest}
		inPaths := func(t *tree[paths]) *tree[paths] {
			return t.change(e, at.keys[byPath].text, func(p paths) paths { return p.change(e, at, c, add) })
		}
		switch k := at.keys[byHost]; k.kind {
		case noKind:
			x.anyHost = inPaths(x.anyHost)
		case hostExact:
			x.exact = x.exact.change(e, k.text, inPaths)
		default:
			x.endings = x.endings.change(e, reversed(k.text), func(h hosts) hosts {
				slot := h.of(k.kind)
				if *slot = inPaths(*slot); (*slot).top == nil {
					*slot = nil
				}
				return h
			})
		}
	}
}

func reversed(s string) string {
	var b strings.Builder
	for i := len(s) - 1; i >= 0; i-- {
		b.WriteByte(s[i])
	}
	return b.String()
}
