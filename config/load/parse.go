package load

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Format is a file format.
type Format string

// The formats that are understood.
const (
	TOML Format = "toml"
	YAML Format = "yaml"
	JSON Format = "json"
)

// FormatOf tells the format from a file name's extension. ok is false for other files.
func FormatOf(name string) (f Format, ok bool) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".toml":
		return TOML, true
	case ".yaml", ".yml":
		return YAML, true
	case ".json":
		return JSON, true
	default:
		return "", false
	}
}

// SyntaxError says that a text is not in the format it should be in.
type SyntaxError struct {
	// Line from 1, or 0 when unknown.
	Line    int
	Message string
}

func (e *SyntaxError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d: %s", e.Line, e.Message)
	}
	return e.Message
}

// maxDepth bounds the nesting of a document; no configuration comes near it.
const maxDepth = 200

// Parse reads a document. The root is a Map, empty for an empty text. The error is a *SyntaxError.
func Parse(source string, content []byte, format Format) (*Tree, error) {
	content, err := plain(content)
	if err != nil {
		return nil, err
	}
	switch format {
	case TOML:
		return parseTOML(source, content)
	case YAML:
		return parseYAML(source, content)
	case JSON:
		return parseJSON(source, content)
	default:
		return nil, &SyntaxError{Message: fmt.Sprintf("unknown format %q: use toml, yaml or json", format)}
	}
}

// plain takes off a byte order mark and refuses what is not UTF-8.
func plain(content []byte) ([]byte, error) {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if i := invalidUTF8(content); i >= 0 {
		return nil, &SyntaxError{Line: 1 + bytes.Count(content[:i], []byte("\n")), Message: "the text is not UTF-8"}
	}
	return content, nil
}

func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}
