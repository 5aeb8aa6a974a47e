package load

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// sections goes through http, tcp, udp and tls.
func (v *version) sections(root *Tree) {
	config := reflect.ValueOf(v.Config).Elem()
	s := schemaOf(config.Type())
	for _, t := range s.knownFirst(root.Children) {
		f := s.field(t.Name)
		switch {
		case f == nil:
			v.problem(t, t.Name, "%s", unknown(t.Name, s.names()))
			if meant := s.meant(t); meant != nil {
				v.kinds(t, meant.Name, reflect.New(meant.Type.Elem()).Elem(), misspelt(t.Name, meant.Name))
			}
		case t.Kind == Null:
		case t.Kind != Map:
			v.problem(t, f.Name, "must be a section of keys, not %s", describe(t))
		default:
			field := config.FieldByIndex(f.Index)
			if field.IsNil() {
				field.Set(reflect.New(f.Type.Elem()))
			}
			v.kinds(t, f.Name, field.Elem(), "")
		}
	}
}

// knownFirst puts the keys that the schema has before the others.
func (s *schema) knownFirst(keys []*Tree) []*Tree {
	var known, others []*Tree
	for _, t := range keys {
		if s.field(t.Name) != nil {
			known = append(known, t)
		} else {
			others = append(others, t)
		}
	}
	return append(known, others...)
}

// meant is the section that an unknown one, which has something in it, is most likely a misspelling of; nil
// for none.
func (s *schema) meant(t *Tree) *Field {
	if t.Kind != Map {
		return nil
	}
	return s.field(Nearest(t.Name, s.names()))
}

// misspelt is what is wrong with an object in a section whose name is written wrongly. It is as good as
// written, so that what it is meant to be does not pass for removed.
func misspelt(written, meant string) string {
	return fmt.Sprintf("is in %s, which is unknown; did you mean %s?", written, meant)
}

// kinds goes through the kinds of object of a section: routers, services and so on. A fault is one of
// everything in there.
func (v *version) kinds(section *Tree, name string, into reflect.Value, fault string) {
	s := schemaOf(into.Type())
	for _, t := range s.knownFirst(section.Children) {
		f, fault := s.field(t.Name), fault
		if f == nil {
			v.problem(t, name+"."+t.Name, "%s", unknown(t.Name, s.names()))
			if f = s.meant(t); f == nil || f.Type.Kind() != reflect.Map {
				continue
			}
			fault = misspelt(name+"."+t.Name, f.Name)
		}
		kind, field := name+"."+f.Name, into.FieldByIndex(f.Index)
		switch {
		case t.Kind == Null:
		case f.Type.Kind() == reflect.Slice && t.Kind == List:
			for _, item := range t.Children {
				v.listed(item, kind, field, fault)
			}
		case f.Type.Kind() == reflect.Slice:
			v.problem(t, kind, "must be a list of sections, not %s", describe(t))
		case t.Kind != Map:
			v.problem(t, kind, "must be a section of names, not %s", describe(t))
		default:
			if field.IsNil() {
				field.Set(reflect.MakeMapWithSize(f.Type, len(t.Children)))
			}
			for _, item := range t.Children {
				v.named(item, kind, field, fault)
			}
		}
	}
}

// listed takes an object without a name, which is a certificate: it is told from others by its certFile.
// One that cannot be is a fault of the list.
func (v *version) listed(t *Tree, kind string, into reflect.Value, fault string) {
	file := t.Child("certFile")
	if file == nil || file.Kind != Scalar || file.Text() == "" {
		_, problems := decodeObject(kind, t, reflect.New(into.Type().Elem().Elem()))
		if len(problems) == 0 {
			problems = []dynamic.Problem{{Source: t.Source, Line: t.Line, Message: "names no certFile"}}
		}
		for _, p := range problems {
			p.Object, p.Key = kind, strings.TrimSuffix(join(t.Name, p.Key), ".")
			v.Problems = append(v.Problems, p)
		}
		return
	}
	name := dynamic.CertificateName(file.Text(), func(name string) bool { return v.Places[dynamic.ListPlace(kind, name)] != Place{} })
	id := dynamic.ListPlace(kind, name)
	v.Places[id] = t.Place
	if obj, ok := v.object(t, kind, id, into.Type().Elem().Elem(), fault); ok {
		into.Set(reflect.Append(into, obj))
	}
}

func (v *version) named(t *Tree, kind string, into reflect.Value, fault string) {
	id, name := kind+"."+t.Name, reflect.ValueOf(t.Name)
	bad := nameFault(t.Name)
	switch {
	case bad != "":
		v.problem(t, id, "%s", bad)
	case v.Places[id] != Place{} && fault != "": // where it should be it is written too
	case v.Places[id] != Place{}:
		v.problem(t, id, "declared twice; the first, on line %d, is used", v.Places[id].Line)
	default:
		v.Places[id] = t.Place
		typ := into.Type().Elem().Elem()
		if obj, ok := v.object(t, kind, id, typ, fault); ok {
			into.SetMapIndex(name, obj)
		} else {
			v.salvage(t, kind, id, typ)
		}
	}
}

// nameFault says what is wrong with an object's name, if anything is.
func nameFault(name string) string {
	switch {
	case name == "":
		return "an object needs a name"
	case strings.Contains(name, "@"):
		return "a name must not hold @, which stands before the provider in references"
	}
	return ""
}
