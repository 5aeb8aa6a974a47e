package load

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// kind is what a middleware's configuration may look like.
type kind struct {
	Name     string             `json:"name"`
	On       bool               `json:"on"`
	Period   dynamic.Duration   `json:"period"`
	Count    *int64             `json:"count"`
	Size     uint16             `json:"size"`
	Ratio    float64            `json:"ratio"`
	List     []string           `json:"list"`
	Numbers  []int              `json:"numbers"`
	Pauses   []dynamic.Duration `json:"pauses"`
	Headers  map[string]string  `json:"headers"`
	Limits   map[string]int     `json:"limits"`
	Inner    *inner             `json:"inner" file:"allowEmpty"`
	Inners   []inner            `json:"inners"`
	ByName   map[string]*inner  `json:"byName"`
	Anything map[string]any     `json:"anything"`
	Ignored  string             `file:"-"`
	Embedded
}

type Embedded struct {
	Deep string `json:"deep"`
}

type inner struct {
	A string `json:"a"`
	B int    `json:"b"`
}

func (k *kind) SetDefaults()  { k.Name, k.Size = "default", 7 }
func (i *inner) SetDefaults() { i.B = 9 }

func TestDecode(t *testing.T) {
	tests := map[string]struct {
		in   map[string]any
		want kind
	}{
		"defaults":              {nil, kind{Name: "default", Size: 7}},
		"case does not matter":  {map[string]any{"NAME": "x", "oN": true}, kind{Name: "x", On: true, Size: 7}},
		"null says nothing":     {map[string]any{"name": nil, "inner": nil}, kind{Name: "default", Size: 7}},
		"an empty text":         {map[string]any{"name": ""}, kind{Size: 7}},
		"texts are coerced":     {map[string]any{"on": "true", "count": "5", "ratio": "0.5", "size": "9"}, kind{Name: "default", On: true, Count: new(int64(5)), Ratio: 0.5, Size: 9}},
		"numbers are coerced":   {map[string]any{"name": 5, "on": 1, "ratio": 1}, kind{Name: "5", On: true, Ratio: 1, Size: 7}},
		"whole floats":          {map[string]any{"count": 5.0}, kind{Name: "default", Count: new(int64(5)), Size: 7}},
		"small floats":          {map[string]any{"ratio": 0.00000001}, kind{Name: "default", Ratio: 0.00000001, Size: 7}},
		"seconds":               {map[string]any{"period": 3}, kind{Name: "default", Size: 7, Period: dynamic.Duration(3 * time.Second)}},
		"seconds as text":       {map[string]any{"period": "3"}, kind{Name: "default", Size: 7, Period: dynamic.Duration(3 * time.Second)}},
		"durations":             {map[string]any{"pauses": []any{"1s", 2}}, kind{Name: "default", Size: 7, Pauses: []dynamic.Duration{dynamic.Duration(time.Second), dynamic.Duration(2 * time.Second)}}},
		"a list":                {map[string]any{"list": []any{"a,b", "", "c"}}, kind{Name: "default", Size: 7, List: []string{"a,b", "", "c"}}},
		"a list of one empty":   {map[string]any{"list": []any{""}}, kind{Name: "default", Size: 7, List: []string{""}}},
		"a list as text":        {map[string]any{"list": "a, b", "numbers": "1,2"}, kind{Name: "default", Size: 7, List: []string{"a", "b"}, Numbers: []int{1, 2}}},
		"names":                 {map[string]any{"headers": map[string]any{"A.b": "c", "D": "", "E": 1}, "limits": map[string]any{"a": 1}}, kind{Name: "default", Size: 7, Headers: map[string]string{"A.b": "c", "D": "", "E": "1"}, Limits: map[string]int{"a": 1}}},
		"a section turned on":   {map[string]any{"inner": map[string]any{}}, kind{Name: "default", Size: 7, Inner: &inner{B: 9}}},
		"the same by true":      {map[string]any{"inner": true}, kind{Name: "default", Size: 7, Inner: &inner{B: 9}}},
		"a section turned off":  {map[string]any{"inner": false}, kind{Name: "default", Size: 7}},
		"sections":              {map[string]any{"inners": []any{map[string]any{"a": "x"}, map[string]any{"b": 1}, map[string]any{}}}, kind{Name: "default", Size: 7, Inners: []inner{{"x", 9}, {"", 1}, {"", 9}}}},
		"sections by name":      {map[string]any{"byName": map[string]any{"X": map[string]any{"a": "x"}, "Y": map[string]any{}}}, kind{Name: "default", Size: 7, ByName: map[string]*inner{"X": {"x", 9}, "Y": {"", 9}}}},
		"an embedded section":   {map[string]any{"deep": "x"}, kind{Name: "default", Size: 7, Embedded: Embedded{"x"}}},
		"anything, as it is":    {map[string]any{"anything": map[string]any{"a": true, "b": []any{1, "x"}, "c": map[string]any{"": 1.5}}}, kind{Name: "default", Size: 7, Anything: map[string]any{"a": true, "b": []any{int64(1), "x"}, "c": map[string]any{"": 1.5}}}},
		"anything that is null": {map[string]any{"anything": map[string]any{"a": nil, "b": 1}}, kind{Name: "default", Size: 7, Anything: map[string]any{"b": int64(1)}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got kind
			if problems := Decode(test.in, &got); len(problems) > 0 {
				t.Fatal(problems)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestDecodeProblems(t *testing.T) {
	in := map[string]any{
		"nam": "x", "Ignored": "x", "on": "yes", "period": "1 s", "count": 1.5, "size": 70000, "ratio": "x",
		"list": []any{nil, []any{"a"}}, "numbers": []any{1, "x"}, "headers": map[string]any{"": "x"},
		"limits": map[string]any{"a": "b"}, "inner": map[string]any{"c": 1}, "inners": []any{1, map[string]any{"b": "x"}},
		"byName": []any{}, "anything": "x", "pauses": "1s,never",
	}
	want := []string{
		"Ignored: unknown key", "anything: must be a section of names", "byName: must be a section of names",
		"count: must be a whole number", "headers: holds an empty name", "inner.c: unknown key",
		"inners[0]: must be a section of keys", "inners[1].b: must be a whole number", "limits.a: must be a whole number",
		"list[0]: is empty", "list[1]: must be a text", "nam: unknown key; did you mean name?", "numbers[1]: must be a whole number",
		"on: must be true or false", "pauses: must be a duration", "period: must be a duration", "ratio: must be a number",
		"size: must be a whole number of 0 or more",
	}
	var got []string
	for _, p := range Decode(in, new(kind)) {
		got = append(got, p.String())
	}
	if len(got) != len(want) {
		t.Fatalf("got %d problems, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}

// A name with dots is a section to TOML unless it is in quotes.
func TestDottedName(t *testing.T) {
	problems := Decode(map[string]any{"headers": map[string]any{"x": map[string]any{"y": "z"}}}, new(kind))
	if len(problems) != 1 || problems[0].String() != "headers.x: must be a text, not a section of keys; a name that holds dots belongs in quotes" {
		t.Error(problems)
	}
}

func TestDecodeLeavesItsInputAlone(t *testing.T) {
	in := map[string]any{"anything": map[string]any{"a": map[string]any{"b": 1}}}
	var got kind
	if problems := Decode(in, &got); len(problems) > 0 {
		t.Fatal(problems)
	}
	got.Anything["a"].(map[string]any)["b"] = 2
	if in["anything"].(map[string]any)["a"].(map[string]any)["b"] != 1 {
		t.Error("the target keeps a part of its input")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"entryPoints", "rule", "middlewares", "to", "tls"}
	for in, want := range map[string]string{
		"entrypoint": "entryPoints", "rules": "rule", "ruel": "rule", "midlewares": "middlewares",
		"ot": "to", "tsl": "tls", "xyz": "", "something": "", strings.Repeat("x", 1000): "",
	} {
		if got := Nearest(in, known); got != want {
			t.Errorf("%.20s: got %q, want %q", in, got, want)
		}
	}
}

// An empty section where a list of sections belongs is an empty list: in TOML it is easily written.
func TestEmptySectionAsList(t *testing.T) {
	config, problems := DynamicFile("a.toml", []byte("[http.services.s.loadBalancer]\n[http.services.s.loadBalancer.servers]\n"), TOML)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if s := config.HTTP.Services["s"]; s == nil || s.LoadBalancer == nil || len(s.LoadBalancer.Servers) != 0 {
		t.Errorf("the service is %+v", s)
	}
	if _, problems := DynamicFile("a.toml", []byte("[http.services.s.loadBalancer.servers]\nurl = 'http://a'\n"), TOML); len(problems) != 1 {
		t.Errorf("a section of keys: %v", problems)
	}
}
