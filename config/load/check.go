package load

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/traefik/paerser/parser"
)

// separator stands between the items of a list in the text paerser takes; it is its own choice.
const separator = "║"

// checker compares a tree with the type it is meant for. It builds paerser's nodes out of what
// fits and notes a problem for what does not.
type checker struct {
	problems []dynamic.Problem
}

func (c *checker) problem(t *Tree, key, format string, args ...any) {
	c.problems = append(c.problems, dynamic.Problem{
		Source: t.Source, Line: t.Line, Key: key, Message: fmt.Sprintf(format, args...),
	})
}

// section checks the keys of a Map against a struct type.
func (c *checker) section(t *Tree, typ reflect.Type, key string) *parser.Node {
	s := schemaOf(typ)
	node := &parser.Node{Name: nodeName(t)}
	seen := map[*Field]*Tree{}
	for _, child := range t.Children {
		path := join(key, child.Name)
		f := s.field(child.Name)
		if f == nil {
			c.problem(child, path, "%s", unknown(child.Name, s.names()))
			continue
		}
		if first := seen[f]; first != nil {
			c.problem(child, path, "stated twice; first as %s%s", first.Name, onLine(first))
			continue
		}
		seen[f] = child
		if n := c.value(child, f.Type, f.AllowEmpty, path); n != nil {
			node.Children = append(node.Children, n)
		}
	}
	return node
}

// value checks a tree against a type. It returns nil for what is null, off, or in error.
func (c *checker) value(t *Tree, typ reflect.Type, allowEmpty bool, key string) *parser.Node {
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case t.Kind == Null:
		return nil
	case typ.Kind() == reflect.Struct:
		return c.structure(t, typ, allowEmpty, key)
	case typ.Kind() == reflect.Map:
		return c.dictionary(t, typ, key)
	case typ.Kind() == reflect.Slice:
		return c.list(t, typ.Elem(), key)
	case t.Kind != Scalar:
		c.problem(t, key, "must be %s, not %s", wanted(typ), describe(t))
		return nil
	}
	if !c.scalar(t, typ, key) {
		return nil
	}
	return &parser.Node{Name: t.Name, Value: t.Text()}
}

func (c *checker) structure(t *Tree, typ reflect.Type, allowEmpty bool, key string) *parser.Node {
	switch {
	case t.Kind == Scalar && allowEmpty && isBool(t.Text()):
		if strings.EqualFold(t.Text(), "false") {
			return nil
		}
		return &parser.Node{Name: nodeName(t), Value: "true"}
	case t.Kind != Map:
		c.problem(t, key, "must be a section of keys, not %s", describe(t))
		return nil
	case len(t.Children) == 0 && !allowEmpty:
		c.problem(t, key, "is empty; the keys here are %s", strings.Join(schemaOf(typ).names(), ", "))
		return nil
	}
	node := c.section(t, typ, key)
	if len(node.Children) == 0 {
		if !allowEmpty {
			return nil
		}
		node.Value = "true"
	}
	return node
}

func (c *checker) dictionary(t *Tree, typ reflect.Type, key string) *parser.Node {
	if t.Kind != Map {
		c.problem(t, key, "must be a section of names, not %s", describe(t))
		return nil
	}
	node := &parser.Node{Name: t.Name}
	seen := map[string]bool{}
	for _, child := range t.Children {
		path := join(key, child.Name)
		switch {
		case child.Name == "":
			c.problem(child, key, "holds an empty name")
			continue
		case seen[child.Name]:
			c.problem(child, path, "stated twice")
			continue
		}
		seen[child.Name] = true
		switch kind := typ.Elem().Kind(); {
		case kind == reflect.Interface:
			continue
		case kind == reflect.String && child.Kind == Map:
			c.problem(child, path, "must be a text, not a section of keys; a name that holds dots belongs in quotes")
			continue
		}
		if n := c.value(child, typ.Elem(), true, path); n != nil {
			node.Children = append(node.Children, n)
		}
	}
	if len(t.Children) == 0 {
		return nil
	}
	if typ.Elem().Kind() == reflect.Interface { // kept as written; paerser wants a child to see
		node.RawValue = t.Raw()
		node.Children = []*parser.Node{{Name: t.Children[0].Name}}
	} else if len(node.Children) == 0 {
		return nil
	}
	return node
}

func (c *checker) list(t *Tree, elem reflect.Type, key string) *parser.Node {
	sections := elem.Kind() == reflect.Struct || elem.Kind() == reflect.Pointer
	node := &parser.Node{Name: t.Name}
	switch {
	case t.Kind == Scalar && !sections:
		if strings.Contains(t.Text(), separator) {
			c.problem(t, key, "must not hold the character %s", separator)
			return nil
		}
		for item := range strings.SplitSeq(t.Text(), ",") {
			if !c.scalar(&Tree{Kind: Scalar, Value: strings.TrimSpace(item), Place: t.Place}, elem, key) {
				return nil
			}
		}
		node.Value = t.Text()
		return node
	case t.Kind == Map && len(t.Children) == 0 && sections:
		return node // [servers] in TOML, with nothing in it: a list without items, as in Traefik
	case t.Kind != List && sections:
		c.problem(t, key, "must be a list of sections, not %s", describe(t))
		return nil
	case t.Kind != List:
		c.problem(t, key, "must be a list of values, not %s", describe(t))
		return nil
	}
	var items []string
	for _, child := range t.Children {
		path := join(key, child.Name)
		switch {
		case child.Kind == Null:
			c.problem(child, path, "is empty")
		case sections:
			typ := elem
			if typ.Kind() == reflect.Pointer {
				typ = typ.Elem()
			}
			if n := c.structure(child, typ, true, path); n != nil {
				node.Children = append(node.Children, n)
			}
		case child.Kind != Scalar:
			c.problem(child, path, "must be %s, not %s", wanted(elem), describe(child))
		case strings.Contains(child.Text(), separator):
			c.problem(child, path, "must not hold the character %s", separator)
		case c.scalar(child, elem, path):
			items = append(items, child.Text())
		}
	}
	if len(items) > 0 {
		node.Value = strings.Join(slices.Concat([]string{"", "24"}, items), separator)
	}
	return node
}

// nodeName is the tree's name; a root has none, and paerser wants one.
func nodeName(t *Tree) string {
	if t.Name == "" {
		return parser.DefaultRootName
	}
	return t.Name
}

func onLine(t *Tree) string {
	if t.Line == 0 {
		return ""
	}
	return fmt.Sprintf(" on line %d", t.Line)
}

func describe(t *Tree) string {
	switch t.Kind {
	case Map:
		return "a section of keys"
	case List:
		return "a list"
	case Null:
		return "nothing"
	default:
		return fmt.Sprintf("the value %.64q", t.Text())
	}
}
