package load

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// outline is a YAML text and where its objects begin, by which an edit within one object is decoded
// without reading the other ten thousand.
//
// It holds for texts in which every object begins a line of its own in block style, in a section that is
// known, and in which no part refers to another: no anchors, no flow style around objects. For other texts there is none.
type outline struct {
	source string
	text   []byte
	marks  []mark // in the order of the text
	// decoded is what the text says.
	decoded Decoded
}

// mark is the line on which an object, or a section between objects, begins.
type mark struct {
	offset, line, column int
	kind, name           string // of an object: "http.routers" and its name; empty for a section
}

func (m mark) id() string { return m.kind + "." + m.name }

// outlineOf finds the objects of a text; doc is its document node. It returns nil where an outline
// does not hold.
func outlineOf(source string, text []byte, doc *yaml.Node, decoded Decoded) *outline {
	if oddBreaks(text) || !selfContained(doc) {
		return nil
	}
	o := &outline{source: source, text: text, decoded: decoded}
	root := reflect.TypeFor[dynamic.Configuration]()
	seen := map[string]bool{}
	ok := eachKey(doc.Content[0], func(key, section *yaml.Node) bool {
		f := schemaOf(root).field(key.Value)
		if o.mark(key, "", ""); f == nil {
			return false
		}
		return eachKey(section, func(key, objects *yaml.Node) bool {
			kind := schemaOf(f.Type.Elem()).field(key.Value)
			if o.mark(key, "", ""); kind == nil || kind.Type.Kind() != reflect.Map {
				return kind != nil
			}
			return eachKey(objects, func(key, _ *yaml.Node) bool {
				m := o.mark(key, f.Name+"."+kind.Name, key.Value)
				repeated := seen[m.id()]
				seen[m.id()] = true
				return !repeated && nameFault(m.name) == ""
			})
		})
	})
	if !ok || !o.locate() {
		return nil
	}
	return o
}

func (o *outline) mark(key *yaml.Node, kind, name string) mark {
	m := mark{line: key.Line, column: key.Column, kind: kind, name: name}
	o.marks = append(o.marks, m)
	return m
}

// eachKey calls do for the pairs of a mapping in block style, and is false when it is no such thing or
// do is. Nothing at all is fine.
func eachKey(n *yaml.Node, do func(key, value *yaml.Node) bool) bool {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return true
	}
	if n.Kind != yaml.MappingNode || n.Style&yaml.FlowStyle != 0 {
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !do(n.Content[i], n.Content[i+1]) {
			return false
		}
	}
	return true
}

// selfContained tells whether no part of a document refers to another.
func selfContained(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Tag == "!!merge" {
		return false
	}
	return !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return !selfContained(c) })
}

// oddBreaks tells whether YAML counts other lines than those that end in \n, or whether documents are
// divided or directed.
func oddBreaks(text []byte) bool {
	if bytes.Count(text, []byte("\r")) != bytes.Count(text, []byte("\r\n")) {
		return true
	}
	for _, odd := range []string{"\u0085", "\u2028", "\u2029", "\n---", "\n...", "\n%"} {
		if bytes.Contains(text, []byte(odd)) {
			return true
		}
	}
	return bytes.HasPrefix(text, []byte("---")) || bytes.HasPrefix(text, []byte("...")) || bytes.HasPrefix(text, []byte("%"))
}

// locate finds the offsets of the marks, each the first on its line.
func (o *outline) locate() bool {
	offset, line := 0, 1
	for i := range o.marks {
		m := &o.marks[i]
		for ; line < m.line; line++ {
			n := bytes.IndexByte(o.text[offset:], '\n')
			if n < 0 {
				return false
			}
			offset += n + 1
		}
		if i > 0 && m.line == o.marks[i-1].line || len(o.text)-offset < m.column || len(bytes.Trim(o.text[offset:offset+m.column-1], " ")) > 0 {
			return false
		}
		m.offset = offset
	}
	return true
}

// edited returns what a new text says when it differs from the last one within one object. ok is false
// when the text has to be read as a whole.
func (o *Objects) edited(source string, text []byte) (d Decoded, ok bool) {
	last := o.last
	if last == nil || last.source != source {
		return d, false
	}
	i, end := last.changed(text)
	if i < 0 {
		return d, false
	}
	m := last.marks[i]
	chunk := text[m.offset:end]
	tree, ok := m.parse(source, chunk, end == len(text))
	if !ok {
		return d, false
	}

	shift := bytes.Count(chunk, []byte("\n")) - bytes.Count(last.text[m.offset:last.end(i)], []byte("\n"))
	after := last.lineAfter(i)
	if shift != 0 && slices.ContainsFunc(last.decoded.Problems, func(p dynamic.Problem) bool {
		return p.Line >= after && strings.Contains(p.Message, " on line ")
	}) {
		return d, false // it tells of another line
	}
	v := version{before: o.known, known: o.known, Decoded: Decoded{
		Config: last.decoded.Config, Places: make(map[string]Place, len(last.decoded.Places)),
		Salvaged: maps.Clone(last.decoded.Salvaged),
	}}
	for id, place := range last.decoded.Places {
		if place.Line >= after {
			place.Line += shift
		}
		v.Places[id] = place
	}
	v.Places[m.id()] = tree.Place
	v.replace(m, tree)
	v.Problems = spliced(last.decoded.Problems, m.id(), v.Problems, after, shift)

	next := &outline{source: source, text: text, marks: slices.Clone(last.marks), decoded: v.Decoded}
	for j := i + 1; j < len(next.marks); j++ {
		next.marks[j].offset += len(text) - len(last.text)
		next.marks[j].line += shift
	}
	o.last = next
	return v.Decoded, true
}

// changed finds the object that the whole difference between the last text and this one lies in, and
// where the object ends in this one. It returns -1 when there is none.
func (o *outline) changed(text []byte) (i, end int) {
	before := 0
	for n := min(len(o.text), len(text)); before < n && o.text[before] == text[before]; before++ {
	}
	i, exact := slices.BinarySearchFunc(o.marks, before, func(m mark, offset int) int { return m.offset - offset })
	if !exact {
		i--
	}
	if i < 0 || o.marks[i].kind == "" {
		return -1, 0
	}
	stop := o.end(i)
	end = stop + len(text) - len(o.text)
	if end <= o.marks[i].offset || !bytes.Equal(o.text[stop:], text[end:]) || end < len(text) && text[end-1] != '\n' {
		return -1, 0
	}
	return i, end
}

// end is the offset at which an object ends: where the next thing begins.
func (o *outline) end(i int) int {
	if i+1 < len(o.marks) {
		return o.marks[i+1].offset
	}
	return len(o.text)
}

// lineAfter is the line on which the next thing begins.
func (o *outline) lineAfter(i int) int {
	if i+1 < len(o.marks) {
		return o.marks[i+1].line
	}
	return 1<<31 - 1
}

// parse reads the lines of one object by themselves. What follows them in the text begins at the same
// indentation or left of it, so whatever is complete here is complete there; a key that stands for
// it has the end of the lines read as they are there.
func (m mark) parse(source string, chunk []byte, last bool) (*Tree, bool) {
	if oddBreaks(chunk) || invalidUTF8(chunk) >= 0 || bytes.HasPrefix(chunk, []byte("\ufeff")) {
		return nil, false // at the beginning of a text a byte order mark is nothing, inside it is a column
	}
	keys := 1
	if !last {
		keys = 2
		chunk = slices.Concat(chunk, bytes.Repeat([]byte(" "), m.column-1), []byte("next:\n"))
	}
	root, doc, err := readYAML(source, chunk, m.line-1)
	if err != nil || doc == nil || !selfContained(doc) || len(root.Children) != keys || root.Children[0].Name != m.name {
		return nil, false
	}
	if root.Children[0].Line != m.line { // what comes before it belongs to the object before
		return nil, false
	}
	if n := doc.Content[0]; n.Style&yaml.FlowStyle != 0 || n.Content[0].Column != m.column || n.Content[0].Kind != yaml.ScalarNode {
		return nil, false
	}
	return root.Children[0], true
}

// replace decodes an object anew and puts it into a copy of the configuration.
func (v *version) replace(m mark, t *Tree) {
	config := reflect.New(reflect.TypeFor[dynamic.Configuration]()).Elem()
	config.Set(reflect.ValueOf(v.Config).Elem())
	v.Config = config.Addr().Interface().(*dynamic.Configuration)

	sectionName, kindName, _ := strings.Cut(m.kind, ".")
	section := config.FieldByIndex(schemaOf(config.Type()).field(sectionName).Index)
	copied := reflect.New(section.Type().Elem())
	copied.Elem().Set(section.Elem())
	section.Set(copied)

	objects := copied.Elem().FieldByIndex(schemaOf(copied.Elem().Type()).field(kindName).Index)
	all := reflect.MakeMapWithSize(objects.Type(), objects.Len())
	for it := objects.MapRange(); it.Next(); {
		all.SetMapIndex(it.Key(), it.Value())
	}
	objects.Set(all)

	name := reflect.ValueOf(m.name)
	if delete(v.Salvaged, m.id()); len(v.Salvaged) == 0 {
		v.Salvaged = nil
	}
	typ := objects.Type().Elem().Elem()
	if obj, ok := v.object(t, m.kind, m.id(), typ, ""); ok {
		all.SetMapIndex(name, obj)
	} else {
		all.SetMapIndex(name, reflect.Value{})
		delete(v.known, m.id())
		v.salvage(t, m.kind, m.id(), typ)
	}
}

// spliced puts an object's new problems where its old ones were. Those on lines after it move.
func spliced(old []dynamic.Problem, id string, problems []dynamic.Problem, after, shift int) []dynamic.Problem {
	var all []dynamic.Problem
	rest := slices.IndexFunc(old, func(p dynamic.Problem) bool { return p.Line >= after })
	if rest < 0 {
		rest = len(old)
	}
	for _, p := range old[:rest] {
		if p.Object != id {
			all = append(all, p)
		}
	}
	all = append(all, problems...)
	for _, p := range old[rest:] {
		p.Line += shift
		all = append(all, p)
	}
	return all
}
