package file

import (
	"fmt"
	"reflect"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
)

// What a template may cost. Nobody's configuration comes near; a mistake in a count would take all memory, or never
// end.
const (
	maxItems = 1 << 20         // in a list
	patience = 5 * time.Second // for one template
)

// tooMuch is that a template goes beyond its bounds.
type tooMuch struct{ text string }

func (e tooMuch) Error() string { return e.text }

var (
	errLong = tooMuch{fmt.Sprintf("makes more than %d MiB", maxSize>>20)}
	errMany = tooMuch{fmt.Sprintf("makes a list of more than %d items", maxItems)}
	errSlow = tooMuch{fmt.Sprintf("takes longer than %s", patience)}
)

// sizes tell, by function, how many bytes or items a call would make at least, where that can be far more than it is
// given.
var sizes = map[string]func(args []reflect.Value) (bytes, items float64){
	"until":        func(a []reflect.Value) (float64, float64) { return 0, steps(0, a[0], 1) },
	"untilStep":    func(a []reflect.Value) (float64, float64) { return 0, steps(number(a[0]), a[1], number(a[2])) },
	"seq":          func(a []reflect.Value) (float64, float64) { return 0, sequence(a[0]) },
	"repeat":       func(a []reflect.Value) (float64, float64) { return number(a[0]) * length(a[1]), 0 },
	"indent":       indented,
	"nindent":      indented,
	"replace":      replaced,
	"join":         joined,
	"randAlphaNum": random,
	"randAlpha":    random,
	"randAscii":    random,
	"randNumeric":  random,
	"randBytes":    random,
}

func number(v reflect.Value) float64 { return float64(v.Int()) }
func length(v reflect.Value) float64 { return float64(v.Len()) }

func steps(start float64, stop reflect.Value, step float64) float64 {
	if step == 0 {
		return 0
	}
	return (number(stop) - start) / step
}

// sequence is how many numbers seq makes of its arguments.
func sequence(params reflect.Value) float64 {
	start, step := 1.0, 1.0
	switch n := params.Len(); n {
	case 3:
		step = number(params.Index(1))
		fallthrough
	case 2:
		start = number(params.Index(0))
		fallthrough
	case 1:
		if n := steps(start, params.Index(n-1), step); n > 0 || params.Len() == 3 {
			return n
		} else {
			return -n
		}
	}
	return 0
}

func random(a []reflect.Value) (float64, float64) { return number(a[0]), 0 }

func indented(a []reflect.Value) (float64, float64) {
	return number(a[0]) * float64(strings.Count(a[1].String(), "\n")+1), 0
}

func replaced(a []reflect.Value) (float64, float64) {
	return length(a[1]) * float64(strings.Count(a[2].String(), a[0].String())), 0
}

func joined(a []reflect.Value) (float64, float64) {
	list := a[1]
	if list.Kind() == reflect.Interface {
		list = list.Elem()
	}
	if list.Kind() != reflect.Slice && list.Kind() != reflect.Array {
		return 0, 0
	}
	bytes := length(list) * length(a[0])
	for i := range list.Len() {
		item := list.Index(i)
		if item.Kind() == reflect.Interface {
			item = item.Elem()
		}
		if item.Kind() == reflect.String {
			bytes += length(item)
		}
	}
	return bytes, 0
}

// bounded are the functions with a check of what each is about to make, and has made.
func bounded(functions template.FuncMap) template.FuncMap {
	all := template.FuncMap{}
	for name, f := range functions {
		all[name] = checked(reflect.ValueOf(f), sizes[name]).Interface()
	}
	return all
}

var errorType = reflect.TypeFor[error]()

// checked is a function that fails where f makes too much.
func checked(f reflect.Value, size func([]reflect.Value) (bytes, items float64)) reflect.Value {
	t := f.Type()
	in := make([]reflect.Type, t.NumIn())
	for i := range in {
		in[i] = t.In(i)
	}
	call := f.Call
	if t.IsVariadic() {
		call = f.CallSlice
	}
	fail := func(err error) []reflect.Value {
		return []reflect.Value{reflect.Zero(t.Out(0)), reflect.ValueOf(&err).Elem()}
	}
	return reflect.MakeFunc(reflect.FuncOf(in, []reflect.Type{t.Out(0), errorType}, t.IsVariadic()), func(args []reflect.Value) []reflect.Value {
		if size != nil {
			switch bytes, items := size(args); {
			case bytes > maxSize:
				return fail(errLong)
			case items > maxItems:
				return fail(errMany)
			}
		}
		out := call(args)
		if len(out) == 1 {
			out = append(out, reflect.Zero(errorType))
		}
		if err := oversized(out[0]); err != nil && out[1].IsNil() {
			return fail(err)
		}
		return out
	})
}

// oversized tells that a value is larger than any should be.
func oversized(v reflect.Value) error {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch {
	case v.Kind() == reflect.String && v.Len() > maxSize:
		return errLong
	case (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() > maxItems:
		return errMany
	}
	return nil
}

// builtins are the template language's own functions that make text.
var builtins = template.FuncMap{
	"print": fmt.Sprint, "println": fmt.Sprintln, "printf": fmt.Sprintf,
	"html": template.HTMLEscaper, "js": template.JSEscaper, "urlquery": template.URLQueryEscaper,
}

// tick is the name of the function that each round of a loop, and each template that another one runs, begins with.
const tick = "_tick"

// ticking has the parts of a template that may run again and again call tick, which can end them.
func ticking(t *template.Template) {
	for _, t := range t.Templates() {
		if t.Tree != nil && t.Root != nil {
			t.Root.Nodes = append([]parse.Node{tickAt(t.Root.Pos, 0)}, t.Root.Nodes...)
			tickIn(t.Root)
		}
	}
}

func tickIn(list *parse.ListNode) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.RangeNode:
			tickIn(n.List)
			n.List.Nodes = append([]parse.Node{tickAt(n.Pos, n.Line)}, n.List.Nodes...)
			tickIn(n.ElseList)
		case *parse.IfNode:
			tickIn(n.List)
			tickIn(n.ElseList)
		case *parse.WithNode:
			tickIn(n.List)
			tickIn(n.ElseList)
		}
	}
}

// tickAt is {{_tick}} at the place of what it ends.
func tickAt(pos parse.Pos, line int) parse.Node {
	name := parse.NewIdentifier(tick)
	name.Pos = pos
	command := &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pos, Args: []parse.Node{name}}
	pipe := &parse.PipeNode{NodeType: parse.NodePipe, Pos: pos, Line: line, Cmds: []*parse.CommandNode{command}}
	return &parse.ActionNode{NodeType: parse.NodeAction, Pos: pos, Line: line, Pipe: pipe}
}

// ticker is a tick that fails once the time is over.
func ticker(end time.Time) func() (string, error) {
	return func() (string, error) {
		if time.Now().After(end) {
			return "", errSlow
		}
		return "", nil
	}
}
