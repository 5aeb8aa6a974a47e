package load

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// Kind is what a tree node is.
type Kind uint8

// The kinds of a tree node.
const (
	Null Kind = iota
	Scalar
	Map
	List
)

// Place is where a key was written.
type Place = dynamic.Place

// Tree is a document before it has types. It is immutable once built.
type Tree struct {
	// Name is the key as written, or "[i]" for an item of a list.
	Name string
	Kind Kind
	// Value of a Scalar: string, bool, int64, uint64 or float64.
	Value any
	// Children of a Map, in the order written, or of a List.
	Children []*Tree
	Place
}

// Child returns the child whose name is equal to name without regard to case, or nil.
func (t *Tree) Child(name string) *Tree {
	for _, c := range t.Children {
		if strings.EqualFold(c.Name, name) {
			return c
		}
	}
	return nil
}

// Text is a scalar as text.
func (t *Tree) Text() string {
	switch v := t.Value.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// Raw returns the tree as a fresh value of maps, []any and scalars; nulls in maps are left out.
func (t *Tree) Raw() any {
	switch t.Kind {
	case Scalar:
		return t.Value
	case Map:
		m := make(map[string]any, len(t.Children))
		for _, c := range t.Children {
			if _, seen := m[c.Name]; c.Kind != Null && !seen {
				m[c.Name] = c.Raw()
			}
		}
		return m
	case List:
		l := make([]any, len(t.Children))
		for i, c := range t.Children {
			l[i] = c.Raw()
		}
		return l
	default:
		return nil
	}
}

// fromRaw is the reverse of Raw. lines holds the lines of known paths; other nodes take their
// parent's.
func fromRaw(name string, v any, path string, place Place, lines map[string]int) *Tree {
	if n, ok := lines[path]; ok {
		place.Line = n
	}
	t := &Tree{Name: name, Place: place}
	add := func(name string, e any) {
		t.Children = append(t.Children, fromRaw(name, e, join(path, name), place, lines))
	}
	switch v := v.(type) {
	case nil:
	case map[string]any:
		t.Kind = Map
		for k, e := range v {
			add(k, e)
		}
		slices.SortFunc(t.Children, func(a, b *Tree) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Name, b.Name))
		})
	case []map[string]any:
		t.Kind = List
		for i, e := range v {
			add(index(i), e)
		}
	case []any:
		t.Kind = List
		for i, e := range v {
			add(index(i), e)
		}
	case []string:
		t.Kind = List
		for i, e := range v {
			add(index(i), e)
		}
	case string, bool, int64, uint64, float64:
		t.Kind, t.Value = Scalar, v
	case int:
		t.Kind, t.Value = Scalar, int64(v)
	default: // a TOML date, a json.Number
		t.Kind, t.Value = Scalar, fmt.Sprint(v)
	}
	return t
}

// sum is a digest of the tree's content, whatever the order of its keys and wherever it is written.
func (t *Tree) sum() [sha256.Size]byte {
	h := sha256.New()
	t.digest(h)
	return [sha256.Size]byte(h.Sum(nil))
}

func (t *Tree) digest(h hash.Hash) {
	write := func(s string) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	h.Write([]byte{byte(t.Kind)})
	if t.Kind == Scalar {
		write(fmt.Sprintf("%T", t.Value))
		write(t.Text())
		return
	}
	children := t.Children
	if t.Kind == Map {
		children = slices.SortedStableFunc(slices.Values(children), func(a, b *Tree) int { return strings.Compare(a.Name, b.Name) })
	}
	write(strconv.Itoa(len(children)))
	for _, c := range children {
		write(c.Name)
		c.digest(h)
	}
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// join appends a name to a dotted path; list items follow without a dot.
func join(path, name string) string {
	if path == "" || strings.HasPrefix(name, "[") {
		return path + name
	}
	return path + "." + name
}
