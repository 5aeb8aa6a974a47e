package static

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/pergola-mesh/pergola/config/load"
	"github.com/traefik/paerser/file"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata and docs/reference/static.md")

func loadFile(t *testing.T, name string) *Configuration {
	t.Helper()
	l := Load([]string{"--configFile=" + name}, nil)
	for _, p := range l.Problems {
		t.Error(p)
	}
	l.Config.Providers.File.Static = "" // the file's own name, in which those compared differ
	return l.Config
}

// TestTraefikFile: a Traefik v3 file starts unchanged, whichever way it is written.
func TestTraefikFile(t *testing.T) {
	fromTOML, fromYAML := loadFile(t, "testdata/traefik.toml"), loadFile(t, "testdata/traefik.yaml")
	if !reflect.DeepEqual(fromTOML, fromYAML) {
		t.Errorf("TOML and YAML differ:\n%+v\n%+v", fromTOML, fromYAML)
	}
	content, err := os.ReadFile("testdata/traefik.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var fromPaerser Configuration
	fromPaerser.SetDefaults()
	if err := file.DecodeContent(string(content), ".yaml", &fromPaerser); err != nil {
		t.Fatal(err)
	}
	fromPaerser.EntryPoints[DefaultInternalEntryPoint] = newEntryPoint("127.0.0.1:8080")
	fromPaerser.Log.Level = "DEBUG" // however it is written
	if !reflect.DeepEqual(*fromYAML, fromPaerser) {
		t.Errorf("differs from paerser:\n%+v\n%+v", fromYAML, fromPaerser)
	}

	web := fromTOML.EntryPoints["web"]
	for _, check := range []struct {
		what      string
		got, want any
	}{
		{"a bare integer is seconds", web.Transport.LifeCycle.RequestAcceptGraceTimeout, Duration(42 * time.Second)},
		{"a stated zero is kept", web.Transport.RespondingTimeouts.ReadTimeout, Duration(0)},
		{"an unstated key takes the hardened default", web.Transport.RespondingTimeouts.HeaderTimeout, Duration(10 * time.Second)},
		{"a stated leniency is kept", web.HTTP.UnderscoreHeadersStrategy, "keep"},
		{"an unstated one is not", fromTOML.EntryPoints["other"].HTTP.UnderscoreHeadersStrategy, "reject"},
		{"the other entry point's protocol", fromTOML.EntryPoints["other"].Protocol(), "tcp"},
		{"the other entry point's address", fromTOML.EntryPoints["other"].ListenAddress(), "0.0.0.0:8000"},
		{"a rotation", fromTOML.Log.MaxBackups, 42},
		{"a name keeps its case", fromTOML.AccessLog.Fields.Headers.Names["User-Agent"], "keep"},
		{"the timeouts that are not stated", fromTOML.ServersTransport.ForwardingTimeouts.PingTimeout, Duration(15 * time.Second)},
	} {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("%s: got %#v, want %#v", check.what, check.got, check.want)
		}
	}
}

// TestDefaultFile: the configuration at the root of the repository is right.
func TestDefaultFile(t *testing.T) {
	c := loadFile(t, "../../traefik.toml")
	if c.EntryPoints["web"].Address != ":8000" || c.EntryPoints["traefik"].Address != "127.0.0.1:8080" ||
		c.Ping == nil || c.Metrics.Prometheus == nil || !c.API.Insecure || !c.Providers.File.Watch {
		t.Errorf("not what make run needs: %+v", c)
	}
	routes := filepath.Join("../..", c.Providers.File.Directory, "routes.yaml")
	content, err := os.ReadFile(routes)
	if err != nil {
		t.Fatal(err)
	}
	d, problems := load.DynamicFile(routes, content, load.YAML)
	if len(problems) > 0 || len(d.HTTP.Routers) != 3 {
		t.Errorf("the quickstart: %v %+v", problems, d)
	}
}

// TestTranscripts loads with the args, environment and files of every transcript. "want" holds the
// problems and the warnings, then those lines of the effective configuration that do not come from a default.
func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	dir, err := filepath.Abs("testdata/load")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			path := filepath.Join(dir, filepath.Base(name))
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			var args, environ []string
			for _, f := range archive.Files {
				switch lines := strings.Split(strings.TrimSuffix(string(f.Data), "\n"), "\n"); f.Name {
				case "args":
					args = lines
				case "environ":
					environ = lines
				case "want":
				default:
					if err := os.MkdirAll(filepath.Dir(f.Name), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(f.Name, f.Data, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			l := Load(args, environ)
			var got, print strings.Builder
			for _, p := range l.Problems {
				got.WriteString(p.String() + "\n")
			}
			for _, w := range l.Warnings {
				got.WriteString("warning: " + w.String() + "\n")
			}
			if err := l.Print(&print); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(print.String()) {
				if !strings.HasSuffix(line, "  # default\n") || strings.Contains(line, ".address = ") {
					got.WriteString(line)
				}
			}
			want := &archive.Files[len(archive.Files)-1]
			if *update {
				want.Data = []byte(got.String())
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got.String() != string(want.Data) {
				t.Errorf("got:\n%swant:\n%s", got.String(), want.Data)
			}
		})
	}
}

// TestReference: docs/reference/static.md lists every key. -update writes it.
func TestReference(t *testing.T) {
	const name = "../../docs/reference/static.md"
	var want strings.Builder
	if err := WriteReference(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(name, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want.String() {
		t.Errorf("%s is not up to date: go test ./config/static -run TestReference -update", name)
	}
	for _, e := range reference() {
		if e.Description == "" && !strings.HasSuffix(e.Path, "<name>") && !strings.HasSuffix(e.Path, "[n]") {
			t.Errorf("%s has no description", e.Path)
		}
	}
}

// TestUnbuiltKeysAreKnown: a row of the table whose section has a type matches a key of it.
func TestUnbuiltKeysAreKnown(t *testing.T) {
	untyped := map[string]bool{}
	for _, key := range strings.Fields("kubernetesIngressNGINX knative docker swarm ecs nomad redis etcd zooKeeper plugin datadog statsD influxDB2") {
		untyped[key] = true
	}
	for _, row := range unbuilt {
		last := row.Key[strings.LastIndexByte(row.Key, '.')+1:]
		_, known := load.TypeAt(configuration, strings.ReplaceAll(row.Key, "*", "x"))
		if !known && !untyped[last] && last != "otlp" {
			t.Errorf("%s leads nowhere", row.Key)
		}
	}
}

func TestSearchPath(t *testing.T) {
	got := SearchPath([]string{"HOME=/home/me"})
	want := []string{
		"/etc/pergola/pergola.toml", "/etc/pergola/pergola.yaml", "/etc/pergola/pergola.yml",
		"/home/me/.config/pergola/pergola.toml", "/home/me/.config/pergola/pergola.yaml", "/home/me/.config/pergola/pergola.yml",
		"/home/me/.config/pergola.toml", "/home/me/.config/pergola.yaml", "/home/me/.config/pergola.yml",
		"pergola.toml", "pergola.yaml", "pergola.yml", "traefik.toml", "traefik.yaml", "traefik.yml",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if got := SearchPath([]string{"HOME=/home/me", "XDG_CONFIG_HOME=/x"})[3]; got != "/x/pergola/pergola.toml" {
		t.Errorf("XDG_CONFIG_HOME: got %s", got)
	}
}

func TestPrintFlags(t *testing.T) {
	var b strings.Builder
	if err := PrintFlags(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"  --entryPoints.<name>.address  (text)\n",
		"  --ping\n        The health endpoint /ping.\n",
		"  --entryPoints.<name>.transport.respondingTimeouts.idleTimeout  (duration, default \"1m0s\")\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(b.String(), "--tracing") {
		t.Error("a flag of a feature that is not built is listed")
	}
}
