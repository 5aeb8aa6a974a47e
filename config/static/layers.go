package static

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
)

var configuration = reflect.TypeFor[Configuration]()

// environment reads variables such as PERGOLA_ENTRYPOINTS_WEB_ADDRESS. Those whose first word is no
// section are other programs' (Kubernetes sets PERGOLA_SERVICE_HOST) and are left alone.
func (l *Loaded) environment(prefix string, environ []string) *load.Tree {
	t := &load.Tree{}
	sorted := slices.Sorted(slices.Values(environ))
	for _, e := range sorted {
		name, value, _ := strings.Cut(e, "=")
		if len(name) <= len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
			continue
		}
		path := strings.ReplaceAll(strings.ToLower(name[len(prefix):]), "_", ".")
		if root, _, _ := strings.Cut(path, "."); !isRoot(root) {
			continue
		}
		l.put(t, indexed(path), value, load.Place{Source: "env " + name})
	}
	return t
}

// indexed puts the number of a list's item into brackets, which names of variables do not have:
// "domains.0.main" is "domains[0].main".
func indexed(path string) string {
	names := strings.Split(path, ".")
	for i := 1; i < len(names); i++ {
		if _, err := strconv.ParseUint(names[i], 10, 16); err != nil {
			continue
		}
		at := strings.Join(names[:i], ".")
		if typ, ok := load.TypeAt(configuration, at); ok && typ.Kind() == reflect.Slice {
			return indexed(at + "[" + names[i] + "]" + strings.Join(append([]string{""}, names[i+1:]...), "."))
		}
	}
	return path
}

// isRoot tells whether a name is a key at the root of the configuration.
func isRoot(name string) bool {
	_, ok := load.TypeAt(configuration, name)
	return ok || strings.EqualFold(name, configFile)
}

// flags reads arguments as Go's flag package does: -name or --name, then =value or the next
// argument. A boolean or a section needs no value. A list may be stated several times.
func (l *Loaded) flags(args []string) *load.Tree {
	type flag struct{ name, value string }
	var order []string
	values := map[string]*flag{}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
		if name == arg || name == "" || name[0] == '-' || name[0] == '=' {
			l.Problems = append(l.Problems, dynamic.Problem{Source: "argument " + arg, Message: "is not a flag; flags are --key=value"})
			continue
		}
		name, value, hasValue := strings.Cut(name, "=")
		typ, known := load.TypeAt(configuration, name)
		if !hasValue {
			switch {
			case known && needsNoValue(typ):
				value = "true"
			case !known && !strings.EqualFold(name, configFile) && (len(args) == 0 || strings.HasPrefix(args[0], "-")):
				value = "true" // it will be reported as unknown
			case len(args) == 0:
				l.Problems = append(l.Problems, dynamic.Problem{Source: "flag --" + name, Key: name, Message: "needs a value"})
				continue
			default:
				value, args = args[0], args[1:]
			}
		}
		key := strings.ToLower(name)
		was, repeated := values[key]
		switch {
		case !repeated:
			order = append(order, key)
			values[key] = &flag{name, value}
		case known && typ.Kind() == reflect.Slice:
			was.value += "," + value
		default:
			was.value = value
		}
	}
	t := &load.Tree{}
	for _, key := range order {
		l.put(t, values[key].name, values[key].value, load.Place{Source: "flag --" + values[key].name})
	}
	return t
}

func needsNoValue(t reflect.Type) bool {
	k := t.Kind()
	return k == reflect.Bool || k == reflect.Struct || k == reflect.Map || k == reflect.Pointer && t.Elem().Kind() == reflect.Struct
}

func (l *Loaded) put(t *load.Tree, path, value string, place load.Place) {
	if err := t.Put(path, value, place); err != nil {
		l.Problems = append(l.Problems, dynamic.Problem{Source: place.Source, Message: fmt.Sprint(err)})
	}
}
