package identity

import (
	"hash/maphash"
	"maps"
	"strings"
)

// Hosts binds hosts to policies. It is immutable: With shares what did not change. The zero value binds
// none.
type Hosts struct {
	exact, label, deep bindings // those of *.x and **.x by ".x"
}

// bindings is a persistent hash table.
type bindings struct {
	shards *[256]map[string]*Policy // nil when empty
}

var hostSeed = maphash.MakeSeed()

func (b bindings) get(name string) *Policy {
	if b.shards == nil {
		return nil
	}
	return b.shards[maphash.String(hostSeed, name)>>56][name]
}

// with returns the table with policies put in; a nil policy takes a name out.
func (b bindings) with(changes map[string]*Policy) bindings {
	if len(changes) == 0 {
		return b
	}
	next := bindings{new([256]map[string]*Policy)}
	if b.shards != nil {
		*next.shards = *b.shards
	}
	fresh := [256]bool{}
	for name, p := range changes {
		i := maphash.String(hostSeed, name) >> 56
		if !fresh[i] {
			fresh[i] = true
			if next.shards[i] = maps.Clone(next.shards[i]); next.shards[i] == nil {
				next.shards[i] = map[string]*Policy{}
			}
		}
		if p == nil {
			delete(next.shards[i], name)
		} else {
			next.shards[i][name] = p
		}
	}
	return next
}

// With binds hosts as changes says: a host, *.x for one label before .x, or **.x for any number of them,
// all in lower case. A nil policy ends a binding.
func (h Hosts) With(changes map[string]*Policy) Hosts {
	exact, label, deep := map[string]*Policy{}, map[string]*Policy{}, map[string]*Policy{}
	for host, p := range changes {
		switch {
		case strings.HasPrefix(host, "**."):
			deep[host[2:]] = p
		case host == "*":
			label[""] = p
		case strings.HasPrefix(host, "*."):
			label[host[1:]] = p
		default:
			exact[host] = p
		}
	}
	return Hosts{h.exact.with(exact), h.label.with(label), h.deep.with(deep)}
}

// Lookup returns the policy of a name in normal form, by the most specific binding; nil when it is not
// bound.
func (h *Hosts) Lookup(name string) *Policy {
	if p := h.exact.get(name); p != nil {
		return p
	}
	if h.label.shards != nil && name != "" {
		rest := ""
		if i := strings.IndexByte(name, '.'); i >= 0 {
			rest = name[i:]
		}
		if p := h.label.get(rest); p != nil {
			return p
		}
	}
	if h.deep.shards != nil {
		for i := 1; i < len(name); i++ { // **.x asks for something before the dot
			if name[i] == '.' {
				if p := h.deep.get(name[i:]); p != nil {
					return p
				}
			}
		}
	}
	return nil
}
