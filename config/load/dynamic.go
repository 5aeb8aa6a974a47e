package load

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
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
	Salvaged map[string]*dynamic.Router
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
	for _, t := range root.Children {
		f := s.field(t.Name)
		switch {
		case f == nil:
			v.problem(t, t.Name, "%s", unknown(t.Name, s.names()))
		case t.Kind == Null:
		case t.Kind != Map:
			v.problem(t, f.Name, "must be a section of keys, not %s", describe(t))
		default:
			field := config.FieldByIndex(f.Index)
			if field.IsNil() {
				field.Set(reflect.New(f.Type.Elem()))
			}
			v.kinds(t, f.Name, field.Elem())
		}
	}
}

// kinds goes through the kinds of object of a section: routers, services and so on.
func (v *version) kinds(section *Tree, name string, into reflect.Value) {
	s := schemaOf(into.Type())
	for _, t := range section.Children {
		f := s.field(t.Name)
		if f == nil {
			v.problem(t, name+"."+t.Name, "%s", unknown(t.Name, s.names()))
			continue
		}
		kind, field := name+"."+f.Name, into.FieldByIndex(f.Index)
		switch {
		case t.Kind == Null:
		case f.Type.Kind() == reflect.Slice && t.Kind == List:
			for _, item := range t.Children {
				v.Places[kind+item.Name] = item.Place
				if obj, ok := v.object(item, kind, kind+item.Name, f.Type.Elem().Elem()); ok {
					field.Set(reflect.Append(field, obj))
				}
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
				v.named(item, kind, field)
			}
		}
	}
}

func (v *version) named(t *Tree, kind string, into reflect.Value) {
	id, name := kind+"."+t.Name, reflect.ValueOf(t.Name)
	fault := nameFault(t.Name)
	switch {
	case fault != "":
		v.problem(t, id, "%s", fault)
	case v.Places[id] != Place{}:
		v.problem(t, id, "declared twice; the first, on line %d, is used", v.Places[id].Line)
	default:
		v.Places[id] = t.Place
		if obj, ok := v.object(t, kind, id, into.Type().Elem().Elem()); ok {
			into.SetMapIndex(name, obj)
		} else {
			v.salvage(t, kind)
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

// object decodes one object, or finds that it is what it was.
func (v *version) object(t *Tree, kind, id string, typ reflect.Type) (reflect.Value, bool) {
	sum := t.sum()
	if was, ok := v.before[id]; ok && was.sum == sum {
		v.known[id] = was
		return was.value, true
	}
	obj := reflect.New(typ)
	rest, problems := TakeUnbuilt(unbuiltDynamic, t, append(strings.Split(kind, "."), "*")...)
	if rest != nil {
		problems = append(problems, decodeObject(rest, obj)...)
	}
	for _, p := range problems {
		p.Object = id
		v.Problems = append(v.Problems, p)
	}
	if rest == nil || len(problems) > 0 {
		return obj, false
	}
	v.known[id] = object{sum, obj}
	return obj, true
}

// decodeObject fills obj, a pointer to an object of any kind.
func decodeObject(t *Tree, obj reflect.Value) []dynamic.Problem {
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
