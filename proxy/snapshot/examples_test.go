package snapshot

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

const traefikExamples = "../../docs/examples/traefik-v3/"

// readExamples gathers the files of a folder into one update.
func readExamples(t *testing.T, format string) dynamic.Update {
	t.Helper()
	paths, err := filepath.Glob(traefikExamples + format + "/*." + format)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples in %s: %v", format, err)
	}
	all := &dynamic.HTTPConfiguration{
		Routers: map[string]*dynamic.Router{}, Services: map[string]*dynamic.Service{},
		Middlewares: map[string]*dynamic.Middleware{}, ServersTransports: map[string]*dynamic.ServersTransport{},
	}
	u := dynamic.Update{Provider: "file", Config: &dynamic.Configuration{HTTP: all}}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d := new(load.Objects).Decode(path, content, load.Format(format))
		u.Problems = append(u.Problems, d.Problems...)
		part := httpOf(d.Config)
		maps.Copy(all.Routers, part.Routers)
		maps.Copy(all.Services, part.Services)
		maps.Copy(all.Middlewares, part.Middlewares)
		maps.Copy(all.ServersTransports, part.ServersTransports)
	}
	return u
}

func TestTraefikExamples(t *testing.T) {
	yaml, toml := readExamples(t, "yaml"), readExamples(t, "toml")
	if !reflect.DeepEqual(yaml.Config, toml.Config) {
		t.Error("the examples in YAML and in TOML do not say the same")
	}
	for name, u := range map[string]dynamic.Update{"yaml": yaml, "toml": toml} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.apply(u)
			if len(f.report.Problems) > 0 {
				t.Fatalf("problems: %v", f.report.Problems)
			}
			v := f.live.Snapshot().View()
			for name, r := range v.Routers {
				if r.Status != Enabled {
					t.Errorf("router %s is %s: %q", name, r.Status, r.Errors)
				}
			}
			f.askExamples(t)
			f.apply(dynamic.Update{Provider: "file", Config: &dynamic.Configuration{}}) // ends the health checks
		})
	}
}

// askExamples sends requests through the examples' routers.
func (f *fixture) askExamples(t *testing.T) {
	for _, c := range []struct {
		method, url, field string
		router             string
		status             int
	}{
		{"GET", "http://other.example/", "", "all@file", 200},
		{"GET", "http://example.com/", "", "site@file", 200},
		{"GET", "http://www.example.com/", "", "site@file", 301},
		{"GET", "http://acme.example.com/app/x", "", "tenants@file", 200},
		{"GET", "http://eu-1.example.net/", "", "regions@file", 200},
		{"GET", "http://acme.example.com/app/admin", "", "admin@file", 403},
		{"POST", "http://example.com/login", "", "login@file", 200},
		{"GET", "http://example.com/a.png", "", "images@file", 200},
		{"GET", "http://api.example.com/v1/users", "", "api@file", 200},
		{"GET", "http://api.example.com/v3/users", "", "api-by-regexp@file", 200},
		{"GET", "http://api.example.com/v1/users", "X-Beta: yes", "api-beta@file", 200},
		{"GET", "http://example.com/a", "User-Agent: Android", "mobile@file", 200},
		{"GET", "http://example.com/a?preview=true", "", "preview@file", 200},
		{"GET", "http://example.com/a?debug", "", "debug@file", 200},
		{"GET", "http://example.com/a?utm_source=mail", "", "campaign@file", 302},
		{"GET", "http://intranet.example.com/", "", "all@file", 200},
		{"GET", "http://example.com/users/jane/posts", "", "old-paths@file", 200},
		{"GET", "http://secure.example.com/", "", "plain-http@file", 301},
		{"GET", "http://example.com/healthz", "", "quiet@file", 200},
	} {
		var fields []any
		if c.field != "" {
			fields = append(fields, c.field)
		}
		x := exchangetest.Request(c.method, c.url, fields...)
		r := exchangetest.Do(f.live.Handler("web"), x)
		if x.Record.Router == nil || x.Record.Router.Name() != c.router || r.Status != c.status {
			t.Errorf("%s %s %s is answered %d by %v: %v; want %d by %s", c.method, c.url, c.field, r.Status, x.Record.Router, r.Err, c.status, c.router)
		}
	}
}

// The examples have every matcher and every kind of service. Middlewares have examples in their folders.
func TestTraefikExamplesHaveEverything(t *testing.T) {
	http := readExamples(t, "yaml").Config.HTTP
	var rules strings.Builder
	for _, r := range http.Routers {
		rules.WriteString(r.Rule + "\n")
	}
	for _, matcher := range strings.Fields("ClientIP Method Host HostRegexp Path PathPrefix PathRegexp Header HeaderRegexp Query QueryRegexp") {
		if !strings.Contains(rules.String(), matcher+"(") {
			t.Errorf("no example has the matcher %s", matcher)
		}
	}
	kinds := map[string]bool{}
	for _, s := range http.Services {
		for i := range reflect.TypeFor[dynamic.Service]().NumField() {
			if v := reflect.ValueOf(s).Elem().Field(i); !v.IsZero() {
				kinds[reflect.TypeFor[dynamic.Service]().Field(i).Name] = true
			}
		}
	}
	if want := reflect.TypeFor[dynamic.Service]().NumField(); len(kinds) != want {
		t.Errorf("the examples' services use %d of %d keys: %v", len(kinds), want, kinds)
	}
}
