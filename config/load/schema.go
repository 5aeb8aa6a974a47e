package load

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Field is one key of a configuration struct.
type Field struct {
	// Name is the key as documented.
	Name string
	// Type is the field's type.
	Type reflect.Type
	// AllowEmpty says that "name: {}" and "name: true" are meaningful.
	AllowEmpty bool
	// Tag holds the description among others.
	Tag reflect.StructTag
	// Index is the field's place in its struct, for reflect.Value.FieldByIndex.
	Index []int
}

// schema is the keys of one struct type.
type schema struct {
	fields []Field
	byName map[string]*Field // by lower-case Go name, as paerser looks fields up
}

var schemas sync.Map // reflect.Type → *schema

// Fields lists the keys of a struct type, those of embedded structs included, in order. The result
// is shared and must not be written to.
func Fields(t reflect.Type) []Field { return schemaOf(t).fields }

func schemaOf(t reflect.Type) *schema {
	if s, ok := schemas.Load(t); ok {
		return s.(*schema)
	}
	s := &schema{byName: map[string]*Field{}}
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous || !f.IsExported() || f.Tag.Get("file") == "-" {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			name = strings.ToLower(f.Name[:1]) + f.Name[1:]
		}
		s.fields = append(s.fields, Field{
			Name: name, Type: f.Type, Tag: f.Tag, Index: f.Index,
			AllowEmpty: f.Tag.Get("file") == "allowEmpty",
		})
	}
	for i := range s.fields {
		s.byName[strings.ToLower(t.FieldByIndex(s.fields[i].Index).Name)] = &s.fields[i]
	}
	actual, _ := schemas.LoadOrStore(t, s)
	return actual.(*schema)
}

func (s *schema) field(name string) *Field { return s.byName[strings.ToLower(name)] }

func (s *schema) names() []string {
	names := make([]string, len(s.fields))
	for i, f := range s.fields {
		names[i] = f.Name
	}
	return names
}

// unknown is the message for a key that is none of known: it offers the nearest, or all.
func unknown(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return "unknown key; did you mean " + near + "?"
	}
	if len(known) == 0 || len(known) > 16 {
		return "unknown key"
	}
	known = slices.Sorted(slices.Values(known))
	return "unknown key; the keys here are " + strings.Join(known, ", ")
}

// Nearest returns the known name that name is most likely a misspelling of, or "".
func Nearest(name string, known []string) string {
	if len(name) > 64 {
		return ""
	}
	best, least := "", min(len(name), max(3, len(name)/3+1))
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap to make a out of b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
