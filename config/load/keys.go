package load

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// Key is one key of a configuration type or value.
type Key struct {
	// Path is the dotted path; in a type, names are <name> and items [n].
	Path string
	// Type is text, boolean, integer, number, duration, list, names or section.
	Type string
	// Value is the value as text, or the default; empty when unset or a section.
	Value string
	// Off says that a section is not there unless it is written.
	Off bool
	// Description and Ours come from the field's tags.
	Description string
	Ours        bool
	// Secret values must not be shown.
	Secret bool
}

// Keys lists every key that may be written into the struct that v points to, with the values in it
// as defaults. Sections that are off are listed as if they were on.
func Keys(v any) []Key {
	k := keyLister{possible: true}
	k.section(reflect.ValueOf(v).Elem(), "", false)
	return k.keys
}

// Values lists the keys that have a value in the struct that v points to.
func Values(v any) []Key {
	k := keyLister{}
	k.section(reflect.ValueOf(v).Elem(), "", false)
	return k.keys
}

type keyLister struct {
	possible bool // list what could be, not what is
	keys     []Key
}

func (k *keyLister) section(v reflect.Value, path string, ours bool) {
	for _, f := range Fields(v.Type()) {
		fv, err := v.FieldByIndexErr(f.Index)
		if err != nil {
			continue
		}
		k.value(fv, Key{
			Path: join(path, f.Name), Description: f.Tag.Get("description"),
			Ours: ours || f.Tag.Get("ours") != "", Secret: f.Tag.Get("secret") != "",
		})
	}
}

func (k *keyLister) value(v reflect.Value, key Key) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			if !k.possible {
				return
			}
			v = fresh(v.Type().Elem())
			key.Off = v.Kind() == reflect.Struct
		} else {
			v = v.Elem()
		}
	}
	key.Type = typeName(v.Type())
	switch {
	case v.Kind() == reflect.Struct:
		if k.possible {
			k.keys = append(k.keys, key)
		}
		before := len(k.keys)
		k.section(v, key.Path, key.Ours)
		if !k.possible && len(k.keys) == before {
			k.keys = append(k.keys, key) // that it is there is all it says
		}
	case v.Kind() == reflect.Map && isSection(v.Type().Elem()):
		if k.possible {
			k.keys = append(k.keys, key)
			k.value(fresh(v.Type().Elem()), Key{Path: join(key.Path, "<name>"), Ours: key.Ours})
			return
		}
		for _, name := range sortedKeys(v) {
			k.value(v.MapIndex(reflect.ValueOf(name)), Key{Path: join(key.Path, name)})
		}
	case v.Kind() == reflect.Map:
		if k.possible {
			k.keys = append(k.keys, key)
			return
		}
		for _, name := range sortedKeys(v) {
			item := key
			item.Path, item.Value = join(key.Path, name), text(v.MapIndex(reflect.ValueOf(name)))
			k.keys = append(k.keys, item)
		}
	case v.Kind() == reflect.Slice && isSection(v.Type().Elem()):
		if k.possible {
			k.keys = append(k.keys, key)
			k.value(fresh(v.Type().Elem()), Key{Path: key.Path + "[n]", Ours: key.Ours})
			return
		}
		for i := range v.Len() {
			k.value(v.Index(i), Key{Path: key.Path + index(i)})
		}
	default:
		key.Value = text(v)
		k.keys = append(k.keys, key)
	}
}

// fresh is a new value with its defaults.
func fresh(t reflect.Type) reflect.Value {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	p := reflect.New(t)
	if d, ok := p.Interface().(interface{ SetDefaults() }); ok {
		d.SetDefaults()
	}
	return p.Elem()
}

func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct
}

func sortedKeys(m reflect.Value) []string {
	names := make([]string, 0, m.Len())
	for _, k := range m.MapKeys() {
		names = append(names, k.String())
	}
	slices.Sort(names)
	return names
}

func typeName(t reflect.Type) string {
	switch k := t.Kind(); {
	case t == reflect.TypeFor[dynamic.Duration]():
		return "duration"
	case k == reflect.Struct:
		return "section"
	case k == reflect.Map:
		return "names"
	case k == reflect.Slice:
		return "list"
	case k == reflect.Bool:
		return "boolean"
	case k == reflect.String:
		return "text"
	case k == reflect.Float64:
		return "number"
	default:
		return "integer"
	}
}

// text renders a value as it could be written in TOML.
func text(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Interface:
		return text(v.Elem())
	case reflect.String:
		return fmt.Sprintf("%q", v.String())
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = text(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	if d, ok := v.Interface().(dynamic.Duration); ok {
		return fmt.Sprintf("%q", d.String())
	}
	return fmt.Sprint(v.Interface())
}
