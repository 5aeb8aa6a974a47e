package load

import (
	"bytes"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// agree decodes next after what o has decoded, and by itself, and compares.
func agree(t *testing.T, o *Objects, next []byte) Decoded {
	t.Helper()
	got, want := o.Decode("f.yaml", next, YAML), new(Objects).Decode("f.yaml", next, YAML)
	switch {
	case !reflect.DeepEqual(got.Config, want.Config):
		t.Fatalf("the configuration differs: %s\nwant %s\ntext:\n%s", asJSON(t, got.Config), asJSON(t, want.Config), next)
	case !reflect.DeepEqual(got.Problems, want.Problems):
		t.Fatalf("problems differ:\n%v\nwant\n%v\ntext:\n%s", got.Problems, want.Problems, next)
	case !reflect.DeepEqual(got.Places, want.Places):
		t.Fatalf("places differ:\n%v\nwant\n%v\ntext:\n%s", got.Places, want.Places, next)
	}
	return got
}

// TestEditsAgreeWithReading: whatever is edited, the edit says what the whole text says.
func TestEditsAgreeWithReading(t *testing.T) {
	content, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(content), "priority: 42", "priority: high", 1)
	broken = strings.Replace(broken, "contentType: {}", "contentType: {}\n      other: {}", 1)
	flat := "http:\n  routers:\n    a: {rule: A, service: s}\n    b: {rule: B, service: s}\n    c:\n      rule: |\n        C\n      service: s"
	for name, start := range map[string]string{"full": string(content), "with problems": broken, "flat": flat, "odd": odd, "odd, CRLF": strings.ReplaceAll(odd, "\n", "\r\n")} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			edits, quick := 150, 0
			for range edits {
				var o Objects
				o.Decode("f.yaml", []byte(start), YAML)
				if o.last == nil {
					t.Fatal("the text has no outline")
				}
				next := edit(random, []byte(start))
				if _, ok := (&Objects{known: map[string]object{}, last: o.last}).edited("f.yaml", next); ok {
					quick++
				}
				agree(t, &o, next)
				agree(t, &o, edit(random, next))
				agree(t, &o, []byte(start))
			}
			if quick < edits/8 {
				t.Errorf("only %d of %d edits were decoded by themselves", quick, edits)
			}
		})
	}
}

// odd is YAML as few write it.
const odd = `# a comment

http:
        # indented otherwise
  routers:

    a:
      rule: Host(
        on.many.lines
        )
      entryPoints:
      - same
      - column
  # left of everything
    b:
        rule: "quoted
          and folded"
        service: 'single
         too'
    "c":
      rule: >-
        folded

        block
      service: |+
        kept


    d:
    e: ~
    f: {rule: F,
      service: s}
    g:
      ? rule
      : G
      ? service
      : s
  middlewares:
  # nothing
  services:
     s:
      loadBalancer:
       servers:
       - url: http://a
       -
         url: http://b
udp:
tls:
  certificates: []
`

// edit changes a text a little: characters, lines, indentation.
func edit(random *rand.Rand, text []byte) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	i := random.IntN(len(lines))
	line := slices.Clone(lines[i])
	const spice = "x: -#'\"[]{},&*!|>%@\n\t\r.?0~"
	switch at := random.IntN(len(line) + 1); random.IntN(8) {
	case 0:
		lines = slices.Delete(lines, i, i+1)
	case 1:
		lines = slices.Insert(lines, i, slices.Clone(lines[random.IntN(len(lines))]))
	case 2:
		lines[i] = append([]byte(strings.Repeat(" ", random.IntN(8))), bytes.TrimLeft(line, " ")...)
	case 3:
		lines[i] = slices.Insert(line, at, spice[random.IntN(len(spice))])
	case 4:
		if at < len(line) {
			lines[i] = slices.Delete(line, at, at+1)
		}
	case 5:
		if at < len(line) {
			line[at] = spice[random.IntN(len(spice))]
			lines[i] = line
		}
	default: // a change that makes sense
		lines[i] = bytes.Replace(line, []byte("a"), []byte("bb"), 1)
	}
	return bytes.Join(lines, nil)
}

func TestEditIsDecodedByItself(t *testing.T) {
	var o Objects
	text := string(manyRouters(100, "s"))
	first := o.Decode("f.yaml", []byte(text), YAML)
	step := func(from, to string, quick bool) Decoded {
		t.Helper()
		text = strings.Replace(text, from, to, 1)
		_, known := (&Objects{known: map[string]object{}, last: o.last}).edited("f.yaml", []byte(text))
		if known != quick {
			t.Errorf("%q to %q: decoded by itself: %t", from, to, known)
		}
		return agree(t, &o, []byte(text))
	}
	second := step("`h7.example`", "`other.example`", true)
	if r := second.Config.HTTP.Routers; r["r7"].Rule == first.Config.HTTP.Routers["r7"].Rule || r["r8"] != first.Config.HTTP.Routers["r8"] {
		t.Error("the wrong router changed")
	}
	if first.Config.HTTP.Routers["r7"].Rule != "Host(`h7.example`) && PathPrefix(`/api`)" {
		t.Error("what was handed out has been written to")
	}
	step("other.example`) && PathPrefix(`/api`)\n", "other.example`)\n      priority: 5\n      # a line more\n", true)
	step("priority: 5", "priority: five", true)
	if d := step("`h9.example`", "`nine.example`", true); len(d.Problems) != 1 || d.Problems[0].Object != "http.routers.r7" {
		t.Errorf("a problem elsewhere is lost: %v", d.Problems)
	}
	step("priority: five", "priority: 6", true)
	step("    r50:", "    renamed:", false)
	step("    r51:", "    # r51\n    r51:", false) // between two objects
	step("    r60:\n", "    r60: &anchor\n", false)
	step(" &anchor", "", false) // what has anchors has no outline
	step("`h70.example`", "\"`h70.example`", true)
	step("`h1.example`", "`one.example`", true)
}

func BenchmarkOneRouterOfTenThousand(b *testing.B) {
	var o Objects
	was, is := manyRouters(10_000, "s"), manyRouters(10_000, "t")
	o.Decode("f.yaml", was, YAML)
	for b.Loop() {
		o.Decode("f.yaml", is, YAML)
		was, is = is, was
	}
}

func FuzzEdit(f *testing.F) {
	content, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content, 100, 20, []byte("x: y\n"))
	f.Add([]byte("http:\n  routers:\n    a:\n      rule: A\n    b:\n      rule: B\n"), 24, 8, []byte("\"\n"))
	f.Add([]byte("http:\n  routers:\n    a:\n      rule: A\n    b:\n      rule: B\n"), 17, 21, []byte("\ufeff    a:\n"))
	f.Add([]byte("http:\n  routers:\n    a:\n      rule: A\n    ? b\n    : {rule: B}\n"), 24, 8, []byte("? |\n"))
	f.Fuzz(func(t *testing.T, text []byte, at, length int, by []byte) {
		if at < 0 || length < 0 || at > len(text) || length > len(text)-at {
			return
		}
		var o Objects
		o.Decode("f.yaml", text, YAML)
		agree(t, &o, slices.Concat(text[:at], by, text[at+length:]))
	})
}

func TestDecodedValuesStay(t *testing.T) {
	var o Objects
	d := o.Decode("f.yaml", manyRouters(3, "s"), YAML)
	want := map[string]*dynamic.Router{}
	for name, r := range d.Config.HTTP.Routers {
		want[name] = r
	}
	o.Decode("f.yaml", manyRouters(3, "[]"), YAML)
	if !reflect.DeepEqual(d.Config.HTTP.Routers, want) || len(d.Places) != 3 {
		t.Error("a later version has written to an earlier one")
	}
}
