package load

import (
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// Unbuilt is a key that Pergola knows but cannot honour in this build: using it is an error that
// says so.
type Unbuilt struct {
	// Key is a dotted path; "*" stands for any one name.
	Key string
	// Feature is what the key would need, as it reads after "this build does not have".
	Feature string
}

// unbuiltDynamic is what is missing from the dynamic configuration. A row goes when its feature comes.
var unbuiltDynamic = []Unbuilt{
	{"http.routers.*.parentRefs", "nested routers"},
}

// TakeUnbuilt takes every key out of t that a row names and reports those that are not off. base is
// the path of t itself; Keys in the problems are relative to t. rest is nil when nothing remains.
func TakeUnbuilt(rows []Unbuilt, t *Tree, base ...string) (rest *Tree, problems []dynamic.Problem) {
	var patterns []pattern
	for _, row := range rows {
		p := pattern{names: strings.Split(row.Key, "."), feature: row.Feature}
		for _, name := range base {
			p = p.enter(name)
		}
		if p.feature != "" {
			patterns = append(patterns, p)
		}
	}
	rest = take(t, patterns, "", &problems)
	return rest, problems
}

// pattern is what of a row's key lies below some node; the zero value matches nothing.
type pattern struct {
	names   []string
	feature string
}

// enter steps down to a child of that name.
func (p pattern) enter(name string) pattern {
	if len(p.names) == 0 || p.names[0] != "*" && !strings.EqualFold(p.names[0], name) {
		return pattern{}
	}
	return pattern{p.names[1:], p.feature}
}

func take(t *Tree, patterns []pattern, key string, problems *[]dynamic.Problem) *Tree {
	for _, p := range patterns {
		if len(p.names) > 0 {
			continue
		}
		if t.Kind != Null && !(t.Kind == Scalar && strings.EqualFold(t.Text(), "false")) {
			*problems = append(*problems, dynamic.Problem{
				Source: t.Source, Line: t.Line, Key: key,
				Message: "this build does not have " + p.feature + " yet; remove it",
			})
		}
		return nil
	}
	if len(patterns) == 0 || len(t.Children) == 0 {
		return t
	}
	kept := *t
	kept.Children = nil
	for _, c := range t.Children {
		var below []pattern
		for _, p := range patterns {
			if q := p.enter(c.Name); q.feature != "" {
				below = append(below, q)
			}
		}
		if k := take(c, below, join(key, c.Name), problems); k != nil {
			kept.Children = append(kept.Children, k)
		}
	}
	if len(kept.Children) == 0 { // a section emptied by this is as if it had not been written
		return nil
	}
	return &kept
}
