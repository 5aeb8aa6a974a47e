package load

import (
	"fmt"
	"reflect"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/traefik/paerser/parser"
)

// Decode fills target, a pointer to a struct, from raw: a middleware's Config, say. Target is
// first given its defaults if it has SetDefaults. Every unknown key and bad value is a Problem
// with Key and Message set; target is of use only when there are none. raw is not written to, and
// target keeps nothing of it.
func Decode(raw map[string]any, target any) []dynamic.Problem {
	return DecodeTree(fromRaw("", raw, "", Place{}, nil), target)
}

// DecodeTree is Decode for a tree; its Problems carry Source and Line too. What is not in error is
// filled in even when there are problems.
func DecodeTree(t *Tree, target any) []dynamic.Problem {
	v := reflect.ValueOf(target)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("load: decode into %T: want a pointer to a struct", target))
	}
	if d, ok := target.(interface{ SetDefaults() }); ok {
		d.SetDefaults()
	}
	var c checker
	if t.Kind != Map && t.Kind != Null {
		c.problem(t, "", "must be a section of keys, not %s", describe(t))
		return c.problems
	}
	root := c.section(t, v.Type().Elem(), "")
	if len(root.Children) == 0 {
		return c.problems
	}
	err := parser.AddMetadata(target, root, parser.MetadataOpts{TagName: parser.TagFile})
	if err == nil {
		err = parser.Fill(target, root, parser.FillerOpts{RawSliceSeparator: separator})
	}
	if err != nil { // the checker lets nothing through that paerser refuses
		c.problem(t, "", "%v", err)
	}
	return c.problems
}
