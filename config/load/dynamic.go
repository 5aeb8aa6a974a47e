package load

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// Decoded is what one source of dynamic configuration says.
type Decoded struct {
	Config *dynamic.Configuration
	// Places, Problems and Salvaged are as in dynamic.Update.
	Places   map[string]Place
	Problems []dynamic.Problem
	Salvaged map[string]any
}

// DynamicFile decodes a dynamic configuration. Each object is decoded on its own: one that is in
// error becomes a Problem and the rest stands. The Config is nil when the text as a whole cannot be
// read; there is then one Problem with no Object.
func DynamicFile(source string, content []byte, format Format) (*dynamic.Configuration, []dynamic.Problem) {
	d := new(Objects).Decode(source, content, format)
	return d.Config, d.Problems
}

// Objects decodes successive versions of one source. An object whose text means what it meant in the
// version before keeps its pointer and is not decoded again. The zero value is ready; it is not for
// concurrent use.
type Objects struct {
	// Beside are keys at the root that are not this configuration's and are passed over.
	Beside []string

	known map[string]object
	last  *outline // nil when there is none
}

// object is a decoded object and the digest of the tree it came from.
type object struct {
	sum   [sha256.Size]byte
	value reflect.Value // a pointer
}

// Decode decodes a version, as [DynamicFile] does. A version that cannot be read as a whole leaves
// what is known from the one before. content must not be written to afterwards.
func (o *Objects) Decode(source string, content []byte, format Format) Decoded {
	if format == YAML {
		if d, ok := o.edited(source, content); ok {
			return d
		}
	}
	root, doc, err := parseDynamic(source, content, format)
	if err != nil {
		p := dynamic.Problem{Source: source, Message: err.Error()}
		var syntax *SyntaxError
		if errors.As(err, &syntax) {
			p.Line, p.Message = syntax.Line, syntax.Message
		}
		return Decoded{Problems: []dynamic.Problem{p}}
	}
	root.Children = slices.DeleteFunc(root.Children, func(t *Tree) bool {
		return slices.ContainsFunc(o.Beside, func(name string) bool { return strings.EqualFold(name, t.Name) })
	})
	v := version{
		before: o.known, known: map[string]object{},
		Decoded: Decoded{Config: &dynamic.Configuration{}, Places: map[string]Place{}},
	}
	v.sections(root)
	o.known, o.last = v.known, nil
	if doc != nil {
		o.last = outlineOf(source, content, doc, v.Decoded)
	}
	return v.Decoded
}

// parseDynamic is Parse; of YAML it returns the document's node too.
func parseDynamic(source string, content []byte, format Format) (*Tree, *yaml.Node, error) {
	if format != YAML {
		root, err := Parse(source, content, format)
		return root, nil, err
	}
	content, err := plain(content)
	if err != nil {
		return nil, nil, err
	}
	return readYAML(source, content, 0)
}

// version is one version of a source on its way to becoming a Configuration.
type version struct {
	before, known map[string]object
	Decoded
}

func (v *version) problem(t *Tree, object, format string, args ...any) {
	v.Problems = append(v.Problems, dynamic.Problem{
		Source: t.Source, Line: t.Line, Object: object, Message: fmt.Sprintf(format, args...),
	})
}

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
