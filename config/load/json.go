package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
)

func parseJSON(source string, content []byte) (*Tree, error) {
	if len(bytes.TrimSpace(content)) == 0 {
		return &Tree{Kind: Map, Place: Place{Source: source}}, nil
	}
	r := jsonReader{source: source, content: content, line: 1, dec: json.NewDecoder(bytes.NewReader(content))}
	r.dec.UseNumber()
	root, err := r.value("", 0)
	if err != nil {
		return nil, err
	}
	if root.Kind != Map {
		return nil, &SyntaxError{Line: root.Line, Message: "the document must be an object"}
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, r.fail("text after the document")
	}
	return root, nil
}

// jsonReader builds a tree token by token, which keeps the lines and sees keys stated twice.
type jsonReader struct {
	source  string
	content []byte
	dec     *json.Decoder
	offset  int // up to which line was counted
	line    int
}

// here is the line of the token just read.
func (r *jsonReader) here() int {
	end := int(r.dec.InputOffset())
	r.line += bytes.Count(r.content[r.offset:end], []byte("\n"))
	r.offset = end
	return r.line
}

func (r *jsonReader) fail(message string) error {
	return &SyntaxError{Line: r.here(), Message: "not JSON: " + message}
}

func (r *jsonReader) value(name string, depth int) (*Tree, error) {
	if depth > maxDepth {
		return nil, r.fail("nested too deeply")
	}
	tok, err := r.dec.Token()
	if err != nil {
		return nil, r.fail(err.Error())
	}
	t := &Tree{Name: name, Kind: Scalar, Value: tok, Place: Place{Source: r.source, Line: r.here()}}
	switch tok := tok.(type) {
	case nil:
		t.Kind = Null
	case json.Number:
		t.Value = number(tok.String())
	case json.Delim:
		t.Value, t.Kind = nil, Map
		if tok == '[' {
			t.Kind = List
		}
		return t, r.children(t, depth)
	}
	return t, nil
}

func (r *jsonReader) children(t *Tree, depth int) error {
	for r.dec.More() {
		name := index(len(t.Children))
		if t.Kind == Map {
			key, err := r.dec.Token()
			if err != nil {
				return r.fail(err.Error())
			}
			name = key.(string)
		}
		c, err := r.value(name, depth+1)
		if err != nil {
			return err
		}
		t.Children = append(t.Children, c)
	}
	if _, err := r.dec.Token(); err != nil {
		return r.fail(err.Error())
	}
	return nil
}

// number is the narrowest of int64, uint64 and float64 that holds s, or s itself.
func number(s string) any {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i
	}
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return u
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return f
	}
	return s
}
