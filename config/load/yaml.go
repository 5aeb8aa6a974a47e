package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxAliased bounds the nodes that aliases may add to a document (the "billion laughs").
const maxAliased = 200_000

func parseYAML(source string, content []byte) (*Tree, error) {
	root, _, err := readYAML(source, content, 0)
	return root, err
}

// readYAML returns the document as a tree and as the node it was built from, which is nil for an empty
// text. above is the number of lines that come before content.
func readYAML(source string, content []byte, above int) (*Tree, *yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(content))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return &Tree{Kind: Map, Place: Place{Source: source}}, nil, nil
	case err != nil:
		return nil, nil, yamlError(err)
	}
	if err := dec.Decode(&more); err == nil {
		return nil, nil, &SyntaxError{Line: more.Line, Message: "a second YAML document: put it in a file of its own"}
	} else if !errors.Is(err, io.EOF) {
		return nil, nil, yamlError(err)
	}

	b := yamlBuilder{source: source, above: above, open: map[*yaml.Node]bool{}}
	root, err := b.tree("", doc.Content[0], 0)
	switch {
	case err != nil:
		return nil, nil, err
	case root.Kind == Null:
		root.Kind = Map
	case root.Kind != Map:
		return nil, nil, &SyntaxError{Line: root.Line, Message: "the document must be a map of keys"}
	}
	return root, &doc, nil
}

// yamlBuilder turns YAML nodes into a tree; it resolves aliases and merge keys.
type yamlBuilder struct {
	source  string
	above   int                 // lines before the text
	open    map[*yaml.Node]bool // aliased nodes being expanded
	aliased int
}

func (b *yamlBuilder) tree(name string, n *yaml.Node, depth int) (*Tree, error) {
	if depth > maxDepth {
		return nil, &SyntaxError{Line: n.Line, Message: "nested too deeply"}
	}
	if len(b.open) > 0 {
		if b.aliased++; b.aliased > maxAliased {
			return nil, &SyntaxError{Line: n.Line, Message: "aliases expand to too much"}
		}
	}
	t := &Tree{Name: name, Place: Place{Source: b.source, Line: b.above + n.Line}}
	switch n.Kind {
	case yaml.AliasNode:
		if b.open[n.Alias] {
			return nil, &SyntaxError{Line: n.Line, Message: "the anchor *" + n.Value + " contains itself"}
		}
		b.open[n.Alias] = true
		defer delete(b.open, n.Alias)
		return b.tree(name, n.Alias, depth+1)
	case yaml.SequenceNode:
		t.Kind = List
		for i, c := range n.Content {
			item, err := b.tree(index(i), c, depth+1)
			if err != nil {
				return nil, err
			}
			t.Children = append(t.Children, item)
		}
	case yaml.MappingNode:
		t.Kind = Map
		return t, b.pairs(t, n, depth)
	default:
		return t, b.scalar(t, n)
	}
	return t, nil
}

// pairs adds the keys of a mapping, and those of its merge keys that it does not state itself.
func (b *yamlBuilder) pairs(t *Tree, n *yaml.Node, depth int) error {
	var merged []*Tree
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			m, err := b.tree("", value, depth+1)
			if err != nil {
				return err
			}
			switch m.Kind {
			case Map:
				merged = append(merged, m)
			case List:
				merged = append(merged, m.Children...)
			default:
				return &SyntaxError{Line: key.Line, Message: "<< needs a map or a list of maps"}
			}
			continue
		}
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return &SyntaxError{Line: key.Line, Message: "a key must be a scalar"}
		}
		c, err := b.tree(key.Value, value, depth+1)
		if err != nil {
			return err
		}
		c.Line = b.above + key.Line
		t.Children = append(t.Children, c)
	}
	stated := make(map[string]bool, len(t.Children))
	if len(merged) > 0 {
		for _, c := range t.Children {
			stated[c.Name] = true
		}
	}
	for _, m := range merged {
		for _, c := range m.Children {
			if !stated[c.Name] {
				stated[c.Name] = true
				t.Children = append(t.Children, c)
			}
		}
	}
	return nil
}

func (b *yamlBuilder) scalar(t *Tree, n *yaml.Node) error {
	t.Kind = Scalar
	switch n.ShortTag() {
	case "!!null":
		t.Kind = Null
	case "!!bool", "!!int", "!!float":
		if err := n.Decode(&t.Value); err != nil {
			return yamlError(err)
		}
		if i, ok := t.Value.(int); ok {
			t.Value = int64(i)
		}
	default: // strings, dates and what else is written
		t.Value = n.Value
	}
	return nil
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors:\s+)?(?:line (\d+): )?`)

func yamlError(err error) error {
	msg := err.Error()
	m := yamlLine.FindStringSubmatch(msg)
	line, _ := strconv.Atoi(m[1])
	return &SyntaxError{Line: line, Message: fmt.Sprintf("not YAML: %s", strings.TrimPrefix(msg, m[0]))}
}
