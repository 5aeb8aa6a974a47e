package load

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/traefik/paerser/file"
)

func decodeFile(t *testing.T, name string) *dynamic.Configuration {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	format, _ := FormatOf(name)
	c, problems := DynamicFile(name, content, format)
	for _, p := range problems {
		t.Error(p)
	}
	if c == nil {
		t.Fatalf("%s: nothing decoded", name)
	}
	return c
}

func TestFormatsAgree(t *testing.T) {
	fromYAML, fromTOML := decodeFile(t, "testdata/full.yaml"), decodeFile(t, "testdata/full.toml")
	if !reflect.DeepEqual(fromYAML, fromTOML) {
		t.Errorf("YAML and TOML differ:\n%s\n%s", asJSON(t, fromYAML), asJSON(t, fromTOML))
	}

	content, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Parse("", content, YAML)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(tree.Raw(), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	fromJSON, problems := DynamicFile("full.json", text, JSON)
	if len(problems) > 0 || !reflect.DeepEqual(fromYAML, fromJSON) {
		t.Errorf("YAML and JSON differ: %v\n%s", problems, asJSON(t, fromJSON))
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestAgreesWithPaerser holds the decoder against paerser's own, on everything but middlewares.
func TestAgreesWithPaerser(t *testing.T) {
	for _, name := range []string{"testdata/full.yaml", "testdata/full.toml"} {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var want struct {
			HTTP *struct {
				Routers           map[string]*dynamic.Router
				Services          map[string]*dynamic.Service
				Middlewares       map[string]any
				ServersTransports map[string]*dynamic.ServersTransport
			}
		}
		if err := file.DecodeContent(string(content), filepath.Ext(name), &want); err != nil {
			t.Fatal(err)
		}
		got := decodeFile(t, name).HTTP
		if !reflect.DeepEqual(got.Routers, want.HTTP.Routers) || !reflect.DeepEqual(got.Services, want.HTTP.Services) {
			t.Errorf("%s: differs from paerser:\n%s\n%s", name, asJSON(t, got), asJSON(t, want.HTTP))
		}
		// paerser calls no SetDefaults that its own nil pointers do not lead to; ours is the same here.
		if !reflect.DeepEqual(got.ServersTransports, want.HTTP.ServersTransports) {
			t.Errorf("%s: transports differ from paerser:\n%s\n%s", name, asJSON(t, got), asJSON(t, want.HTTP))
		}
	}
}

func TestValues(t *testing.T) {
	c := decodeFile(t, "testdata/full.yaml").HTTP
	lb := c.Services["balanced"].LoadBalancer
	plain := c.Services["plain"].LoadBalancer
	for _, check := range []struct {
		what      string
		got, want any
	}{
		{"a bare integer is seconds", lb.HealthCheck.Interval, dynamic.Duration(5 * time.Second)},
		{"a duration with a unit", *lb.HealthCheck.UnhealthyInterval, dynamic.Duration(500 * time.Millisecond)},
		{"a stated false", *lb.PassHostHeader, false},
		{"a default", *plain.PassHostHeader, true},
		{"a default of a section turned on", plain.PassiveHealthCheck.MaxFailedAttempts, 1},
		{"a default of a section with a key", plain.Strategy, "wrr"},
		{"a stated zero", *c.Services["weighted"].Weighted.Services[0].Weight, 0},
		{"a default in a list", *c.Services["weighted"].Weighted.Services[1].Weight, 1},
		{"a dotted name", lb.HealthCheck.Headers["X.Dotted"], "1"},
		{"a comma in a list item", c.Services["fallback"].Failover.Errors.Status[0], "500-503"},
		{"a middleware's kind", c.Middlewares["type"].Kind, "contentType"},
		{"a middleware's values keep their types", c.Middlewares["plug"].Config["mine"], any(map[string]any{
			"on": true, "list": []any{int64(1), int64(2)}, "ratio": 0.25,
		})},
	} {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("%s: got %#v, want %#v", check.what, check.got, check.want)
		}
	}
}

func TestObjectsKeepPointers(t *testing.T) {
	var o Objects
	version := func(text string) *dynamic.HTTPConfiguration {
		d := o.Decode("f.yaml", []byte(text), YAML)
		if d.Config == nil {
			return nil
		}
		return d.Config.HTTP
	}
	first := version("http: {routers: {a: {rule: A, service: s}, b: {rule: B, service: s}}}")
	// The same content, in another order, on other lines.
	second := version("# new\nhttp:\n  routers:\n    b: {service: s, rule: C}\n    a: {service: s, rule: A}\n")
	if first.Routers["a"] != second.Routers["a"] {
		t.Error("an unchanged router has another pointer")
	}
	if first.Routers["b"] == second.Routers["b"] || first.Routers["b"].Rule != "B" || second.Routers["b"].Rule != "C" {
		t.Error("a changed router has the same pointer, or the old one was written to")
	}
	if version("http: [") != nil {
		t.Error("a text that is not YAML was decoded")
	}
	third := version("http: {routers: {a: {rule: A, service: s}}}")
	if third.Routers["a"] != first.Routers["a"] {
		t.Error("a broken version in between lost what was known")
	}
	// A text and a number are not the same to a middleware.
	m1 := version("http: {middlewares: {m: {k: {v: 1}}}}")
	m2 := version(`http: {middlewares: {m: {k: {v: "1"}}}}`)
	if m1.Middlewares["m"] == m2.Middlewares["m"] {
		t.Error("a number that became a text was not noticed")
	}
}

func TestPlaces(t *testing.T) {
	var o Objects
	d := o.Decode("f.toml", []byte("[http.routers.a]\nrule = \"A\"\n\n[http.services]\n[http.services.s.loadBalancer]\nservers = [\n  {url = \"http://a\"},\n]\n"), TOML)
	want := map[string]Place{"http.routers.a": {Source: "f.toml", Line: 1}, "http.services.s": {Source: "f.toml", Line: 5}}
	if !reflect.DeepEqual(d.Places, want) {
		t.Errorf("got %v, want %v", d.Places, want)
	}
}

// manyRouters is a file of n routers; the first one's service is as given.
func manyRouters(n int, service string) []byte {
	var b strings.Builder
	b.WriteString("http:\n  routers:\n")
	for i := range n {
		fmt.Fprintf(&b, "    r%d:\n      rule: Host(`h%d.example`) && PathPrefix(`/api`)\n      service: %s\n      middlewares: [a, b]\n", i, i, service)
		service = "s"
	}
	return []byte(b.String())
}

func BenchmarkTenThousandRouters(b *testing.B) {
	was, is := manyRouters(10_000, "s"), manyRouters(10_000, "t")
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			DynamicFile("f.yaml", was, YAML)
		}
	})
	b.Run("one changed", func(b *testing.B) {
		var o Objects
		o.Decode("f.yaml", was, YAML)
		for b.Loop() {
			o.Decode("f.yaml", is, YAML)
			was, is = is, was
		}
	})
	b.Run("parse alone", func(b *testing.B) {
		for b.Loop() {
			if _, err := Parse("f.yaml", was, YAML); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestOneOfManyChanged: typed decoding is done for the changed router alone.
func TestOneOfManyChanged(t *testing.T) {
	var o Objects
	before := o.Decode("f.yaml", manyRouters(1000, "s"), YAML).Config.HTTP.Routers
	after := o.Decode("f.yaml", manyRouters(1000, "t"), YAML).Config.HTTP.Routers
	changed := 0
	for name, r := range after {
		if before[name] != r {
			changed++
		}
	}
	if changed != 1 || len(after) != 1000 || after["r0"].Service != "t" {
		t.Errorf("%d of %d routers were decoded again", changed, len(after))
	}
}

// TestSalvagedTLS: a router in error that is for TLS stays for TLS.
func TestSalvagedTLS(t *testing.T) {
	var o Objects
	d := o.Decode("f.yaml", []byte("http: {routers: {a: {rule: x, tls: {nonsense: 1}}}}"), YAML)
	if r, _ := d.Salvaged["http.routers.a"].(*dynamic.Router); r == nil || r.TLS == nil || len(d.Problems) == 0 {
		t.Errorf("%+v, %v", r, d.Problems)
	}
}

func FuzzDynamicFile(f *testing.F) {
	for _, name := range []string{"testdata/full.yaml", "testdata/full.toml"} {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		format, _ := FormatOf(name)
		f.Add(content, string(format))
	}
	f.Add([]byte("a: &a [*a]"), "yaml")
	f.Add([]byte("<<: [{a: 1}, {b: 2}]\nhttp: {routers: {a: {rule: x, <<: {service: s}}}}"), "yaml")
	f.Add([]byte(`{"http": {"routers": {"": {"rule": "║24║a"}}}}`), "json")
	f.Add([]byte("[[http.services.a.loadBalancer.servers]]\n'u' = 1\nx.\"y.z\" = '''\n[a]\n'''\n"), "toml")
	f.Fuzz(func(t *testing.T, content []byte, format string) {
		var o Objects
		first := o.Decode("f", content, Format(format))
		if first.Config == nil && len(first.Problems) != 1 {
			t.Fatalf("nothing decoded and %d problems", len(first.Problems))
		}
		again := o.Decode("f", content, Format(format))
		if !reflect.DeepEqual(first, again) {
			t.Fatalf("the same text decodes differently:\n%+v\n%+v", first, again)
		}
	})
}
