package load

import (
	"errors"
	"fmt"
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
