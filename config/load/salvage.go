package load

import (
	"reflect"
	"slices"
	"strings"
)

// reach are the keys of a router that decide what is meant for it.
var reach = []string{"rule", "ruleSyntax", "entryPoints", "priority", "parentRefs", "tls"}

// salvage keeps of a router in error what tells what is meant for it from the rest, if all of that can be
// read. typ is the router's.
func (v *version) salvage(t *Tree, kind, id string, typ reflect.Type) {
	if !strings.HasSuffix(kind, ".routers") || t.Kind != Map {
		return
	}
	part := *t
	part.Children = nil
	for _, child := range t.Children {
		if !slices.ContainsFunc(reach, func(key string) bool { return strings.EqualFold(key, child.Name) }) || schemaOf(typ).field(child.Name) == nil {
			continue
		}
		if strings.EqualFold(child.Name, "tls") { // it matters that it is there, not what is in it
			child = &Tree{Name: child.Name, Kind: Map, Place: child.Place}
		}
		part.Children = append(part.Children, child)
	}
	r := reflect.New(typ)
	if problems := DecodeTree(&part, r.Interface()); len(problems) > 0 {
		return
	}
	if rule := r.Elem().FieldByName("Rule"); rule.IsValid() && rule.String() == "" {
		return
	}
	if v.Salvaged == nil {
		v.Salvaged = map[string]any{}
	}
	v.Salvaged[id] = r.Interface()
}
