package load

import (
	"errors"
	"strings"

	"github.com/BurntSushi/toml"
)

func parseTOML(source string, content []byte) (*Tree, error) {
	text := string(content)
	var raw map[string]any
	if _, err := toml.Decode(text, &raw); err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return nil, &SyntaxError{Line: pe.Position.Line, Message: "not TOML: " + pe.Message}
		}
		return nil, &SyntaxError{Message: "not TOML: " + strings.TrimPrefix(err.Error(), "toml: ")}
	}
	if depthOf(raw) > maxDepth {
		return nil, &SyntaxError{Message: "nested too deeply"}
	}
	root := fromRaw("", raw, "", Place{Source: source}, tomlLines(text))
	root.Kind = Map
	return root, nil
}

func depthOf(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			deepest = max(deepest, depthOf(e))
		}
	case []any:
		for _, e := range v {
			deepest = max(deepest, depthOf(e))
		}
	case []map[string]any:
		for _, e := range v {
			deepest = max(deepest, depthOf(e))
		}
	default:
		return 0
	}
	return 1 + deepest
}

// tomlLines finds the line on which each key of a valid TOML text is first written, by its path.
// The decoder keeps no positions; this reads only as much of TOML as telling keys from values needs.
func tomlLines(text string) map[string]int {
	s := tomlScanner{lines: map[string]int{}, arrays: map[string]int{}}
	for n, line := range strings.Split(text, "\n") {
		s.line(strings.TrimSpace(line), n+1)
	}
	return s.lines
}

type tomlScanner struct {
	lines  map[string]int
	arrays map[string]int // index of the last element of each array of tables
	table  string         // path of the open table
	quote  string         // closing quotes of the open multi-line string
	depth  int            // open brackets of a value
}

func (s *tomlScanner) line(text string, n int) {
	if s.quote != "" || s.depth > 0 {
		s.value(text)
		return
	}
	switch {
	case text == "" || text[0] == '#':
	case strings.HasPrefix(text, "[["):
		keys, _ := splitTOMLKey(text[2:], ']')
		parent := s.resolve(keys[:len(keys)-1], n)
		s.table = join(parent, keys[len(keys)-1])
		s.note(s.table, n)
		i, seen := s.arrays[s.table]
		if seen {
			i++
		}
		s.arrays[s.table] = i
		s.table += index(i)
		s.note(s.table, n)
	case text[0] == '[':
		keys, _ := splitTOMLKey(text[1:], ']')
		s.table = s.resolve(keys, n)
	default:
		keys, rest := splitTOMLKey(text, '=')
		path := s.table
		for _, k := range keys {
			path = join(path, k)
			s.note(path, n)
		}
		s.value(rest)
	}
}

// resolve walks to a table; an array of tables on the way stands for its last element.
func (s *tomlScanner) resolve(keys []string, n int) string {
	path := ""
	for _, k := range keys {
		path = join(path, k)
		s.note(path, n)
		if i, ok := s.arrays[path]; ok {
			path += index(i)
		}
	}
	return path
}

func (s *tomlScanner) note(path string, n int) {
	if _, ok := s.lines[path]; !ok {
		s.lines[path] = n
	}
}

// value follows a value to the end of the line, noting what stays open.
func (s *tomlScanner) value(text string) {
	for i := 0; i < len(text); {
		if s.quote != "" {
			if text[i] == '\\' && s.quote[0] == '"' {
				i += 2
			} else if strings.HasPrefix(text[i:], s.quote) {
				i += len(s.quote)
				s.quote = ""
			} else {
				i++
			}
			continue
		}
		switch c := text[i]; c {
		case '#':
			return
		case '"', '\'':
			s.quote = string(c)
			if three := strings.Repeat(s.quote, 3); strings.HasPrefix(text[i:], three) {
				s.quote = three
			}
			i += len(s.quote)
			continue
		case '[', '{':
			s.depth++
		case ']', '}':
			s.depth--
		}
		i++
	}
	if len(s.quote) == 1 { // cannot be in valid text
		s.quote = ""
	}
}

// splitTOMLKey reads a dotted key up to end, and returns its parts and what follows end.
func splitTOMLKey(text string, end byte) (keys []string, rest string) {
	var part strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case end:
			return append(keys, part.String()), text[i+1:]
		case '.':
			keys = append(keys, part.String())
			part.Reset()
		case ' ', '\t':
		case '"', '\'':
			for i++; i < len(text) && text[i] != c; i++ {
				if c == '"' && text[i] == '\\' && i+1 < len(text) {
					i++
				}
				part.WriteByte(text[i])
			}
		default:
			part.WriteByte(c)
		}
	}
	return append(keys, part.String()), ""
}
