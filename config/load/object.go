package load

import (
	"crypto/sha256"
	"reflect"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// object is a decoded object and the digest of the tree it came from.
type object struct {
	sum   [sha256.Size]byte
	value reflect.Value // a pointer
}

// object decodes one object, or finds that it is what it was. A fault is one that it has anyway.
func (v *version) object(t *Tree, kind, id string, typ reflect.Type, fault string) (reflect.Value, bool) {
	obj := reflect.New(typ)
	if fault != "" {
		v.problem(t, id, "%s", fault)
		return obj, false
	}
	sum := t.sum()
	if was, ok := v.before[id]; ok && was.sum == sum {
		v.known[id] = was
		return was.value, true
	}
	some, problems := decodeObject(kind, t, obj)
	for _, p := range problems {
		p.Object = id
		v.Problems = append(v.Problems, p)
	}
	if !some || len(problems) > 0 {
		return obj, false
	}
	v.known[id] = object{sum, obj}
	return obj, true
}

// decodeObject fills obj, a pointer to an object of any kind. some is false when there is nothing to fill
// it with.
func decodeObject(kind string, t *Tree, obj reflect.Value) (some bool, problems []dynamic.Problem) {
	rest, problems := TakeUnbuilt(unbuiltDynamic, t, append(strings.Split(kind, "."), "*")...)
	if rest == nil {
		return false, problems
	}
	return true, append(problems, fillObject(rest, obj)...)
}

// fillObject fills obj with what this build has.
func fillObject(t *Tree, obj reflect.Value) []dynamic.Problem {
	if m, ok := obj.Interface().(*dynamic.Middleware); ok {
		return middleware(t, m)
	}
	problems := DecodeTree(t, obj.Interface())
	switch obj.Interface().(type) {
	case *dynamic.Service, *dynamic.TCPService, *dynamic.UDPService:
		if len(problems) == 0 {
			return oneKind(t, obj.Elem())
		}
	}
	return problems
}

// middleware takes the one kind of a middleware, whose keys only the catalogue knows.
func middleware(t *Tree, m *dynamic.Middleware) []dynamic.Problem {
	var c checker
	for _, child := range t.Children {
		on := child.Kind == Map || child.Kind == Null || child.Kind == Scalar && strings.EqualFold(child.Text(), "true")
		switch {
		case t.Kind != Map:
		case !on:
			c.problem(child, child.Name, "must be a section of keys, not %s", describe(child))
		case m.Kind != "":
			c.problem(child, child.Name, "a middleware is of one kind, and this one is %s already; make two and chain them", m.Kind)
		default:
			m.Kind = child.Name
			m.Config, _ = child.Raw().(map[string]any)
		}
	}
	if len(t.Children) == 0 || t.Kind != Map {
		c.problem(t, "", "a middleware needs a kind, such as addPrefix")
	}
	c.repeated(t, "")
	return c.problems
}

// repeated notes keys that are stated twice, at any depth.
func (c *checker) repeated(t *Tree, key string) {
	seen := map[string]bool{}
	for _, child := range t.Children {
		path := join(key, child.Name)
		if seen[child.Name] {
			c.problem(child, path, "stated twice")
		}
		seen[child.Name] = true
		c.repeated(child, path)
	}
}

// oneKind checks that a service is of exactly one kind: each kind is a pointer.
func oneKind(t *Tree, service reflect.Value) []dynamic.Problem {
	var c checker
	var all, set []string
	for _, f := range Fields(service.Type()) {
		if f.Type.Kind() != reflect.Pointer {
			continue
		}
		all = append(all, f.Name)
		if !service.FieldByIndex(f.Index).IsNil() {
			set = append(set, f.Name)
		}
	}
	switch len(set) {
	case 0:
		c.problem(t, "", "a service needs one of %s", strings.Join(all, ", "))
	case 1:
	default:
		c.problem(t, "", "a service is of one kind, not of %s; make one of each", strings.Join(set, " and "))
	}
	return c.problems
}
