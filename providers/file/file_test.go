package file

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/files"
)

// follower runs a provider and hands out what it sends.
type follower struct {
	*Provider
	t       *testing.T
	updates chan dynamic.Update
}

func follow(t *testing.T, config static.File) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{Provider: New(config, silent()), t: t, updates: make(chan dynamic.Update, 100)}
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, func(u dynamic.Update) { f.updates <- u }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

// await returns the next update with exactly these routers, as "name=rule".
func (f *follower) await(routers ...string) dynamic.Update {
	f.t.Helper()
	var got []string
	for end := time.After(10 * time.Second); ; {
		select {
		case u := <-f.updates:
			if got = rules(u); slices.Equal(got, routers) {
				return u
			}
		case <-end:
			f.t.Fatalf("waiting for %v; last seen %v", routers, got)
		}
	}
}

func rules(u dynamic.Update) []string {
	var list []string
	if u.Config.HTTP != nil {
		for name, r := range u.Config.HTTP.Routers {
			list = append(list, name+"="+r.Rule)
		}
	}
	slices.Sort(list)
	return list
}

// router is a file with one router.
func router(name, rule string) string {
	return fmt.Sprintf("http: {routers: {%s: {rule: %q, service: s}}}\n", name, rule)
}

func TestFollowsADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b") // does not exist yet
	f := follow(t, static.File{Directory: dir, Watch: true})
	if u := f.await(); len(u.Problems) != 1 || u.Problems[0].Source != dir {
		t.Errorf("a missing directory is no problem: %v", u.Problems)
	}
	write(t, filepath.Join(dir, "one.yaml"), router("one", "1"))
	f.await("one=1")
	write(t, filepath.Join(dir, "one.yaml"), router("one", "2")) // in place
	f.await("one=2")
	write(t, filepath.Join(dir, "c", "d", "two.yml"), router("two", "1"))
	f.await("one=2", "two=1")
	write(t, filepath.Join(dir, "c", "three.toml"), "[http.routers.three]\nrule = \"1\"\nservice = \"s\"\n")
	f.await("one=2", "three=1", "two=1")
	replace(t, filepath.Join(dir, "c", "d", "two.yml"), router("two", "2"))
	f.await("one=2", "three=1", "two=2")
	if err := os.RemoveAll(filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	f.await("one=2")
	write(t, filepath.Join(dir, "c", "d", "two.yml"), router("two", "3"))
	f.await("one=2", "two=3")
	if err := os.Rename(filepath.Join(dir, "c"), filepath.Join(dir, "e")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "e", "d", "two.yml"), router("two", "4"))
	f.await("one=2", "two=4")

	// The directory itself goes, and what it held stays until it is back.
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if u := f.await("one=2", "two=4"); len(u.Problems) != 1 {
		t.Errorf("a directory that went away is no problem: %v", u.Problems)
	}
	write(t, filepath.Join(dir, "five.yaml"), router("five", "1"))
	f.await("five=1")
}

// configMap lays a file out as Kubernetes mounts a ConfigMap: routes.yaml → ..data/routes.yaml, and
// ..data → the directory of the version.
func configMap(t *testing.T, dir string, version int, content string) {
	t.Helper()
	name := fmt.Sprintf("..2026_%d", version)
	write(t, filepath.Join(dir, name, "routes.yaml"), content)
	link := func(target, path string) {
		t.Helper()
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	if version == 1 {
		link(name, filepath.Join(dir, "..data"))
		link("..data/routes.yaml", filepath.Join(dir, "routes.yaml"))
		return
	}
	link(name, filepath.Join(dir, "..data_tmp"))
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, fmt.Sprintf("..2026_%d", version-1))); err != nil {
		t.Fatal(err)
	}
}

func TestFollowsAConfigMap(t *testing.T) {
	for _, kind := range []string{"filename", "directory"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			config := static.File{Directory: dir, Watch: true}
			if kind == "filename" {
				config = static.File{Filename: filepath.Join(dir, "routes.yaml"), Watch: true}
			}
			configMap(t, dir, 1, router("a", "1"))
			f := follow(t, config)
			f.await("a=1")
			for version := 2; version < 5; version++ {
				configMap(t, dir, version, router("a", fmt.Sprint(version)))
				if u := f.await(fmt.Sprint("a=", version)); len(u.Problems) > 0 {
					t.Error(u.Problems)
				}
			}
		})
	}
}

func TestFollowsASymbolicLinkElsewhere(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	write(t, filepath.Join(elsewhere, "real.yaml"), router("a", "1"))
	path := filepath.Join(dir, "routes.yaml")
	if err := os.Symlink(filepath.Join(elsewhere, "real.yaml"), path); err != nil {
		t.Fatal(err)
	}
	f := follow(t, static.File{Directory: dir, Watch: true})
	f.await("a=1")
	write(t, filepath.Join(elsewhere, "real.yaml"), router("a", "2"))
	f.await("a=2")
}

// A link to a directory above it is no second place of what is there.
func TestFollowsNoCircle(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "one.yaml"), router("a", "1"))
	write(t, filepath.Join(elsewhere, "two.yaml"), router("b", "1"))
	for path, target := range map[string]string{
		filepath.Join(dir, "again"): dir, filepath.Join(dir, "other"): elsewhere, filepath.Join(elsewhere, "back"): dir,
	} {
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	u := Read(static.File{Directory: dir}, slog.New(slog.DiscardHandler))
	if len(u.Problems) > 0 || len(u.Config.HTTP.Routers) != 2 {
		t.Errorf("%d routers, %v", len(u.Config.HTTP.Routers), u.Problems)
	}
}

func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "routes.yaml")
	write(t, path, router("a", "1"))
	f := follow(t, static.File{Filename: path})
	f.await("a=1")
	write(t, path, router("a", "2"))
	f.Reload()
	f.await("a=2")
}

func TestLastGoodStays(t *testing.T) {
	dir := t.TempDir()
	bad, good := filepath.Join(dir, "bad.yaml"), filepath.Join(dir, "good.yaml")
	write(t, bad, router("a", "1"))
	write(t, good, router("b", "1"))
	p := New(static.File{Directory: dir}, silent())
	read := func() dynamic.Update { return p.source.read(unwatched{}) }
	first := read()

	for what, spoil := range map[string]func(){
		"not YAML":             func() { write(t, bad, "http: [") },
		"not a template":       func() { write(t, bad, "\n{{ if }}") },
		"a failing template":   func() { write(t, bad, "{{ fail \"no\" }}") },
		"too large":            func() { truncate(t, bad, files.MaxSize+1) },
		"a link to nowhere":    func() { remove(t, bad); symlink(t, "nowhere", bad) },
		"too much from a loop": func() { write(t, bad, `{{ range until 70 }}{{ repeat 1048576 "x" }}{{ end }}`) },
	} {
		t.Run(what, func(t *testing.T) {
			spoil()
			u := read()
			if len(u.Problems) != 1 || !strings.HasPrefix(u.Problems[0].Source, bad) || u.Problems[0].Object != "" ||
				!strings.Contains(u.Problems[0].Message, "the version before stays") {
				t.Errorf("problems: %v", u.Problems)
			}
			if !reflect.DeepEqual(first.Config, u.Config) || first.Config.HTTP.Routers["a"] != u.Config.HTTP.Routers["a"] {
				t.Errorf("what was there did not stay: %v", rules(u))
			}
			if again := read(); !same(u, again) {
				t.Errorf("the same file says something else: %v %v", u.Problems, again.Problems)
			}
			remove(t, bad)
			write(t, bad, router("a", "1"))
			if u := read(); len(u.Problems) > 0 || u.Config.HTTP.Routers["a"] != first.Config.HTTP.Routers["a"] {
				t.Errorf("not as before when mended: %v", u.Problems)
			}
		})
	}
	remove(t, bad)
	if u := read(); len(u.Problems) > 0 || !slices.Equal(rules(u), []string{"b=1"}) {
		t.Errorf("a removed file: %v %v", rules(u), u.Problems)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

func TestSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	write(t, a, "http: {routers: {x: {rule: a, service: s}, y: {rule: y, service: s}}, services: {s: {loadBalancer: {servers: [{url: http://a}]}}}}")
	write(t, b, "http:\n  routers:\n    x: {rule: b, service: s}\n    z: {rule: z, service: s}\n  middlewares:\n    s: {addPrefix: {prefix: /a}}\n")
	write(t, filepath.Join(dir, "notes.txt"), "not configuration")
	write(t, filepath.Join(dir, ".#a.yaml"), "an editor's lock")
	write(t, filepath.Join(dir, "..old", "c.yaml"), router("old", "old"))

	p := New(static.File{Directory: dir}, silent())
	u := p.source.read(unwatched{})
	if want := []string{"x=a", "y=y", "z=z"}; !slices.Equal(rules(u), want) {
		t.Errorf("got %v", rules(u))
	}
	want := []dynamic.Problem{{Source: b, Line: 3, Object: "http.routers.x", Message: "is declared in " + a + " too, and that one is used; rename one of them"}}
	if !reflect.DeepEqual(u.Problems, want) {
		t.Errorf("got %v, want %v", u.Problems, want)
	}
	if got := u.Places["http.routers.z"]; got != (dynamic.Place{Source: b, Line: 4}) {
		t.Errorf("z is at %v", got)
	}

	write(t, a, "http: {routers: {y: {rule: Y, service: s}}}")
	after := p.source.read(unwatched{})
	if len(after.Problems) > 0 || after.Config.HTTP.Routers["x"].Rule != "b" {
		t.Errorf("the second declaration does not take over: %v %v", rules(after), after.Problems)
	}
	if after.Config.HTTP.Routers["z"] != u.Config.HTTP.Routers["z"] || after.Config.HTTP.Middlewares["s"] != u.Config.HTTP.Middlewares["s"] {
		t.Error("objects of a file that did not change have other pointers")
	}
}

// A name stays with the first file that declares it, in error too: what another says under it, which may ask
// for less, does not take its place.
func TestNameStaysWithItsFile(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	write(t, a, "http: {routers: {x: {rule: a, servise: s}}}\ntls: {certificates: [{certFile: c, keyFile: k}, {certFile: d, keyFile: k}]}")
	write(t, b, "http: {routers: {x: {rule: b, service: s}}}\ntls: {certificates: [{certFile: c, keyFile: k}, {certFile: d, keyFile: l}]}")
	u := New(static.File{Directory: dir}, silent()).source.read(unwatched{})
	if got := rules(u); len(got) > 0 {
		t.Errorf("got %v", got)
	}
	if r, _ := u.Salvaged["http.routers.x"].(*dynamic.Router); r == nil || r.Rule != "a" {
		t.Errorf("of x is left %+v", u.Salvaged)
	}
	if len(u.Problems) != 2 || u.Problems[0].Source != a || u.Problems[1].Source != b {
		t.Errorf("problems %v", u.Problems)
	}
	if all := u.Config.TLS.Certificates; len(all) != 3 || u.Places["tls.certificates[c]"].Source != a {
		t.Errorf("%d certificates, at %v", len(all), u.Places)
	}
}

func TestTemplates(t *testing.T) {
	t.Setenv("BACKEND", "http://10.0.0.1")
	for _, test := range []struct{ in, want string }{
		{`{{ env "BACKEND" }}`, "http://10.0.0.1"},
		{`{{ range $i := until 3 }}{{ $i }}{{ end }}`, "012"},
		{`{{ range split "a,b" "," }}[{{ . }}]{{ end }}`, "[a][b]"},
		{`{{ normalize "a.b/c d" }}`, "a-b-c-d"},
		{`{{ "x" | upper | quote }}`, `"X"`},
		{`{{ expandenv "$BACKEND/a" }}`, "http://10.0.0.1/a"},
		{"no template }}", "no template }}"},
	} {
		got, _, err := render([]byte(test.in))
		if err != nil || string(got) != test.want {
			t.Errorf("%s: got %q, %v", test.in, got, err)
		}
	}
	for in, line := range map[string]int{"\n{{ nothing }}": 2, "a\nb {{ index .x 1 }}": 2, "{{ fail \"x\" }}": 1, "{{": 1} {
		_, _, err := render([]byte(in))
		if te, ok := err.(*templateError); !ok || te.line != line || strings.HasPrefix(te.message, "template:") {
			t.Errorf("%q: got %v, want line %d", in, err, line)
		}
	}
}

func TestTemplateFile(t *testing.T) {
	t.Setenv("RULE", "Path(`/a`)")
	path := filepath.Join(t.TempDir(), "routes.yaml")
	write(t, path, "{{ range $i := until 2 }}\n{{ end }}http:\n  routers:\n    a:\n      rule: {{ env \"RULE\" }}\n      servise: s\n")
	var log bytes.Buffer
	debug := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	u := Read(static.File{Filename: path, DebugLogGeneratedTemplate: true}, debug)
	want := dynamic.Problem{Source: path + " (rendered)", Line: 7, Object: "http.routers.a", Key: "servise", Message: "unknown key; did you mean service?"}
	if len(u.Problems) != 1 || u.Problems[0] != want {
		t.Errorf("got %+v, want %+v", u.Problems, want)
	}
	if !strings.Contains(log.String(), "Path(`/a`)") {
		t.Errorf("the generated text is not logged: %s", log.String())
	}
}

func TestSettings(t *testing.T) {
	for _, config := range []static.File{{}, {Filename: "a.yaml", Directory: "b"}} {
		if err := New(config, silent()).Run(context.Background(), func(dynamic.Update) { t.Error("sent") }); err == nil {
			t.Errorf("%+v was accepted", config)
		}
	}
	if u := Read(static.File{Filename: filepath.Join(t.TempDir(), "missing.yaml")}, silent()); len(u.Problems) != 1 {
		t.Errorf("a missing file is no problem: %v", u.Problems)
	}
	path := filepath.Join(t.TempDir(), "routes.json")
	write(t, path, "{}")
	if u := Read(static.File{Filename: path}, silent()); len(u.Problems) != 1 {
		t.Errorf("a JSON file was accepted: %v", u.Problems)
	}
}

// TestWatchesOnlyWhatItReads: directories that went are no longer watched.
func TestWatchesOnlyWhatItReads(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a", "b", "x.yaml"), router("x", "x"))
	p := New(static.File{Directory: dir, Watch: true}, silent())
	w := files.NewWatcher(true, silent())
	defer w.Close()
	watched := func() []string {
		w.Around(func() { p.source.read(w) })
		return w.Watching()
	}
	want := []string{filepath.Dir(dir), dir, filepath.Join(dir, "a"), filepath.Join(dir, "a", "b")}
	if got := watched(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := os.Rename(filepath.Join(dir, "a", "b"), filepath.Join(filepath.Dir(dir), "moved")); err != nil {
		t.Fatal(err)
	}
	if got := watched(); !slices.Equal(got, want[:3]) {
		t.Errorf("got %v, want %v", got, want[:3])
	}
}
