package load

import (
	"reflect"
	"testing"
)

func TestMerge(t *testing.T) {
	tests := map[string]struct{ low, high, want string }{
		"keys of both":                     {"a: {b: 1}", "a: {c: 2}", "a: {b: 1, c: 2}"},
		"high wins":                        {"a: {b: 1}", "a: {b: 2}", "a: {b: 2}"},
		"case of keys does not matter":     {"entryPoints: {Web: 1}", "entrypoints: {web: 2}", "entryPoints: {Web: 2}"},
		"names that differ in case only":   {"e: {web: 1, Web: 2}", "e: {Web: 3}", "e: {web: 1, Web: 3}"},
		"lists are replaced":               {"a: [1, 2]", "a: [3]", "a: [3]"},
		"turning on what is on":            {"a: {b: 1}", "a: true", "a: {b: 1}"},
		"turning off":                      {"a: {b: 1}", "a: false", "a: false"},
		"turning on what is off":           {"a: false", "a: {b: 1}", "a: {b: 1}"},
		"null says nothing":                {"a: {b: 1}", "a: ", "a: {b: 1}"},
		"a section in place of a mistake":  {"a: 5", "a: {b: 1}", "a: {b: 1}"},
		"an empty document over something": {"a: 1", "", "a: 1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Merge(parse(t, test.low), parse(t, test.high)).Raw()
			if want := parse(t, test.want).Raw(); !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func parse(t *testing.T, text string) *Tree {
	t.Helper()
	tree, err := Parse("f", []byte(text), YAML)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestPut(t *testing.T) {
	type put struct{ path, value string }
	tests := map[string]struct {
		puts []put
		want string
	}{
		"nested":                    {[]put{{"a.b", "1"}, {"A.c", "2"}}, `a: {b: "1", c: "2"}`},
		"items":                     {[]put{{"a[0].b", "1"}, {"a[1].b", "2"}}, `a: [{b: "1"}, {b: "2"}]`},
		"on, then a key":            {[]put{{"a", "true"}, {"a.b", "1"}}, `a: {b: "1"}`},
		"a key, then on":            {[]put{{"a.b", "1"}, {"a", "true"}}, `a: {b: "1"}`},
		"off beats its keys":        {[]put{{"a", "false"}, {"a.b", "1"}}, `a: "false"`},
		"off after its keys":        {[]put{{"a.b", "1"}, {"a", "false"}}, `a: "false"`},
		"a mistake is not hidden":   {[]put{{"a", "x"}, {"a.b", "1"}}, `a: x`},
		"the later of two is right": {[]put{{"a", "x"}, {"a", "y"}}, `a: y`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tree := &Tree{}
			for _, p := range test.puts {
				if err := tree.Put(p.path, p.value, Place{}); err != nil {
					t.Fatal(err)
				}
			}
			if want := parse(t, test.want).Raw(); !reflect.DeepEqual(tree.Raw(), want) {
				t.Errorf("got %v, want %v", tree.Raw(), want)
			}
		})
	}
	for _, path := range []string{"", "a..b", ".a", "a.", "a[", "a]", "a[0"} {
		if err := new(Tree).Put(path, "x", Place{}); err == nil {
			t.Errorf("%q was taken for a key", path)
		}
	}
}
