package load

import (
	"fmt"
	"reflect"
	"strings"
)

// Put adds a value under a dotted path, as a flag or an environment variable states it:
// "entryPoints.web.http.tls.domains[0].main". Names compare without case. It is used to build a
// tree, before the tree is read.
func (t *Tree) Put(path, value string, place Place) error {
	for _, name := range strings.Split(strings.ReplaceAll(path, "[", ".["), ".") {
		if name == "" || name == "[" || strings.HasPrefix(name, "[") != strings.HasSuffix(name, "]") {
			return fmt.Errorf("%q is not a key", path)
		}
		if t.Kind == Scalar {
			if !strings.EqualFold(t.Text(), "true") {
				return nil // off, or in error already
			}
			t.Kind, t.Value = Null, nil
		}
		if t.Kind == Null {
			t.Kind = Map
			if name[0] == '[' {
				t.Kind = List
			}
		}
		child := t.Child(name)
		if child == nil {
			child = &Tree{Name: name, Place: place}
			t.Children = append(t.Children, child)
		}
		t = child
	}
	if t.Kind == Map && strings.EqualFold(value, "true") {
		return nil // turned on by its keys
	}
	*t = Tree{Name: t.Name, Kind: Scalar, Value: value, Place: place}
	return nil
}

// Merge lays high over low: sections are merged key by key, anything else is replaced. It writes to
// neither. Either may be nil.
func Merge(low, high *Tree) *Tree {
	switch {
	case low == nil:
		return high
	case high == nil || high.Kind == Null:
		return low
	case high.Kind == Scalar && low.Kind == Map && strings.EqualFold(high.Text(), "true"):
		return low
	case low.Kind != Map || high.Kind != Map:
		merged := *high
		merged.Name = low.Name
		return &merged
	}
	merged := *low
	merged.Children = nil
	partner := partners(low, high)
	taken := map[*Tree]bool{}
	for _, l := range low.Children {
		taken[partner[l]] = true
		merged.Children = append(merged.Children, Merge(l, partner[l]))
	}
	for _, h := range high.Children {
		if !taken[h] {
			merged.Children = append(merged.Children, h)
		}
	}
	return &merged
}

// partners finds the child of high that goes over each child of low: the one of the same name, or
// else one of the same name in another case that has no partner of its own.
func partners(low, high *Tree) map[*Tree]*Tree {
	partner, taken := map[*Tree]*Tree{}, map[*Tree]bool{}
	for _, equal := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		for _, l := range low.Children {
			for _, h := range high.Children {
				if partner[l] == nil && !taken[h] && equal(l.Name, h.Name) {
					partner[l], taken[h] = h, true
				}
			}
		}
	}
	return partner
}

// Places maps every key of the tree, as a lower-case dotted path, to where it was written.
func (t *Tree) Places() map[string]Place {
	places := map[string]Place{}
	t.places("", places)
	return places
}

func (t *Tree) places(path string, into map[string]Place) {
	for _, c := range t.Children {
		key := join(path, strings.ToLower(c.Name))
		into[key] = c.Place
		c.places(key, into)
	}
}

// TypeAt is the type that a dotted path leads to from a struct type: ok is false when nothing there
// has that name.
func TypeAt(t reflect.Type, path string) (typ reflect.Type, ok bool) {
	for _, name := range strings.Split(strings.ReplaceAll(path, "[", ".["), ".") {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch {
		case t.Kind() == reflect.Struct:
			f := schemaOf(t).field(name)
			if f == nil {
				return nil, false
			}
			t = f.Type
		case t.Kind() == reflect.Map, t.Kind() == reflect.Slice && strings.HasPrefix(name, "["):
			t = t.Elem()
		default:
			return nil, false
		}
	}
	return t, true
}
