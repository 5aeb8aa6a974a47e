//go:build linux

package integration

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/pergola-mesh/pergola/integration/harness"
	"github.com/pergola-mesh/pergola/internal/certtest"
)

// TestCheck runs pergola check over configurations with several things wrong at once.
func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name  string
		files string
		ok    bool
		want  []string // all of it in the output
	}{
		{"good", `
-- static.yaml --
entryPoints: {web: {address: ":0"}}
providers: {file: {filename: routes.yaml}}
-- routes.yaml --
http:
  routers: {a: {rule: Host(~a.test~), service: s}}
  services: {s: {loadBalancer: {servers: [{url: "http://127.0.0.1:1"}]}}}
`, true, nil},
		{"one file for both configurations", `
-- static.yaml --
entryPoints: {web: {address: ":0"}}
providers: {file: {filename: static.yaml}}
http:
  routers: {a: {rule: Host(~a.test~), service: s}}
  services: {s: {loadBalancer: {servers: [{url: "http://127.0.0.1:1"}]}}}
`, true, []string{"ok: static.yaml, 1 routers, 2 services"}},
		{"what users of Traefik have, in one file of TOML", `
-- static.toml --
[global]
  checkNewVersion = false
[log]
  level = "DEBUG"
[accessLog]
  [accessLog.fields.headers]
    defaultMode = "keep"
[entryPoints.web]
  address = ":0"
  [entryPoints.web.http.redirections.entryPoint]
    to = "websecure"
    scheme = "https"
  [entryPoints.web.proxyProtocol]
    trustedIPs = ["10.0.0.0/8"]
[entryPoints.websecure]
  address = "127.0.0.1:0"
  asDefault = true
  [entryPoints.websecure.http.tls]
    options = "modern"
  [entryPoints.websecure.transport.respondingTimeouts]
    readTimeout = 10
[entryPoints.dns]
  address = ":0/udp"
[api]
  insecure = true
[ping]
[metrics.prometheus]
[serversTransport.forwardingTimeouts]
  dialTimeout = "300ms"
[providers.file]
  filename = "static.toml"

[http.routers.app]
  rule = "Host(~app.test~) && (PathPrefix(~/a~) || HeaderRegexp(~X-A~, ~^b~))"
  service = "split"
  middlewares = ["strip", "secure", "again"]
[http.middlewares.strip.stripPrefix]
  prefixes = ["/a"]
[http.middlewares.secure.headers]
  stsSeconds = 31536000
  [http.middlewares.secure.headers.customRequestHeaders]
    X-Script-Name = ""
[http.middlewares.again.retry]
  attempts = 3
  initialInterval = "100ms"
[http.services.split.weighted.sticky.cookie]
  name = "lb"
[[http.services.split.weighted.services]]
  name = "one"
  weight = 3
[[http.services.split.weighted.services]]
  name = "copied"
[http.services.copied.mirroring]
  service = "one"
  [[http.services.copied.mirroring.mirrors]]
    name = "one"
    percent = 10
[http.services.one.loadBalancer]
  passHostHeader = true
  [http.services.one.loadBalancer.healthCheck]
    path = "/health"
    interval = "1s"
  [[http.services.one.loadBalancer.servers]]
    url = "http://127.0.0.1:1"

[tcp.routers.any]
  entryPoints = ["web"]
  rule = "HostSNI(~*~)"
  service = "db"
[[tcp.services.db.loadBalancer.servers]]
  address = "127.0.0.1:1"
[udp.routers.dns]
  entryPoints = ["dns"]
  service = "dns"
[[udp.services.dns.loadBalancer.servers]]
  address = "127.0.0.1:1"

[tls.options.modern]
  minVersion = "VersionTLS13"
`, true, []string{"ok: static.toml"}},
		{"two files, and static configuration in that of the dynamic one", `
-- static.yaml --
entryPoints: {web: {address: ":0"}}
providers: {file: {filename: routes.yaml}}
-- routes.yaml --
entryPoints: {web: {address: ":0"}}
`, false, []string{"routes.yaml:1: entryPoints: unknown key"}},
		{"keys without effect", `
-- static.yaml --
entryPoints: {dns: {address: ":0/udp", forwardedHeaders: {insecure: true}}}
`, true, []string{"warning: static.yaml:1: entryPoints.dns.forwardedHeaders", "UDP", "ok: static.yaml"}},
		{"unknown static keys", `
-- static.yaml --
entrypoint: {web: {address: ":0"}}
providers: {file: {filenam: routes.yaml}}
-- routes.yaml --
http: {}
`, false, []string{"static.yaml", "entrypoint", "entryPoints", "filenam", "filename"}},
		{"every dynamic problem at once", `
-- static.yaml --
entryPoints: {web: {address: ":0"}}
providers: {file: {filename: routes.yaml}}
-- routes.yaml --
http:
  routers:
    brokenrule: {rule: "Host(", service: s}
    missingservice: {rule: Host(~a.test~), service: nowhere}
    missingmiddleware: {rule: Host(~b.test~), service: s, middlewares: [nothing]}
    missingentrypoint: {rule: Host(~c.test~), service: s, entryPoints: [elsewhere]}
  services:
    s: {loadBalancer: {servers: [{url: "http://127.0.0.1:1"}]}}
`, false, []string{"routes.yaml", "brokenrule", "missingservice", "nowhere", "missingmiddleware", "nothing",
			"missingentrypoint", "elsewhere"}},
		{"a feature that is not built", `
-- static.yaml --
entryPoints: {web: {address: ":0"}}
providers: {consul: {endpoints: ["127.0.0.1:1"]}}
`, false, []string{"static.yaml", "consul"}},
		{"a SPIFFE identity from nowhere", `
-- static.yaml --
entryPoints: {web: {address: ":0"}}
providers: {file: {filename: routes.yaml}}
-- routes.yaml --
http: {serversTransports: {s: {spiffe: {}}}}
tcp: {serversTransports: {s: {tls: {spiffe: {ids: ["spiffe://example.org/db"]}}}}}
`, false, []string{"routes.yaml", "http.serversTransports.s", "tcp.serversTransports.s", "spiffe.workloadAPIAddr", "unix:///run/spire/agent.sock"}},
		{"SPIFFE without its agent", `
-- static.yaml --
entryPoints: {web: {address: ":0"}}
providers: {file: {filename: routes.yaml}}
spiffe: {workloadAPIAddr: "unix:///nowhere/agent.sock"}
serversTransport: {spiffe: {trustDomain: example.org}}
-- routes.yaml --
http: {serversTransports: {s: {spiffe: {}}}}
tcp: {serversTransports: {s: {tls: {spiffe: {ids: ["spiffe://example.org/db"]}}}}}
`, true, nil},
		{"SPIFFE ids that are none, and keys that cannot stand beside", `
-- static.yaml --
entryPoints: {web: {address: ":0"}}
providers: {file: {filename: routes.yaml}}
spiffe: {workloadAPIAddr: "unix:///nowhere/agent.sock"}
-- routes.yaml --
http:
  serversTransports:
    a: {spiffe: {ids: [db]}}
    b: {spiffe: {}, insecureSkipVerify: true}
`, false, []string{"http.serversTransports.a", "ids[0]", "http.serversTransports.b", "beside insecureSkipVerify"}},
		{"not TOML", `
-- static.toml --
entryPoints = [
`, false, []string{"static.toml"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			directory := t.TempDir()
			files := txtar.Parse([]byte(strings.ReplaceAll(test.files, "~", "`"))).Files
			for _, file := range files {
				if err := os.WriteFile(filepath.Join(directory, file.Name), file.Data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			output, code := harness.Command(t, directory, "check", "--configFile="+files[0].Name)
			if (code == 0) != test.ok {
				t.Errorf("exit code %d, want success: %v", code, test.ok)
			}
			for _, want := range test.want {
				if !strings.Contains(output, want) {
					t.Errorf("the output lacks %q", want)
				}
			}
			if t.Failed() {
				t.Logf("the output:\n%s", output)
			}
		})
	}
}

// TestCheckTellsOfEnds finds what nothing in the files says: that a certificate has ended, or soon will. Neither is
// an error, for the gateway serves it.
func TestCheckTellsOfEnds(t *testing.T) {
	for name, test := range map[string]struct {
		left time.Duration
		want string // "": no warning
	}{
		"ended": {-time.Hour, "the certificate for old.example, www.old.example ended on "},
		"ends":  {3 * 24 * time.Hour, "the certificate for old.example, www.old.example ends on "},
		"good":  {60 * 24 * time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			directory, end := t.TempDir(), time.Now().Add(test.left)
			chain, key := certtest.PEM(certtest.SelfSigned([]string{"old.example", "www.old.example"}, func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = end.Add(-90*24*time.Hour), end
			}))
			for name, text := range map[string]string{"c.pem": string(chain), "k.pem": string(key), "pergola.yaml": `
entryPoints: {web: {address: ":0"}}
providers: {file: {filename: pergola.yaml}}
tls: {certificates: [{certFile: c.pem, keyFile: k.pem}]}
`} {
				if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			output, code := harness.Command(t, directory, "check", "--configFile=pergola.yaml")
			want := "warning: " + test.want
			if test.want != "" {
				want += end.UTC().Format(time.DateTime) + " UTC"
			}
			if code != 0 || strings.Contains(output, want) != (test.want != "") {
				t.Errorf("exit code %d, want success and %q in the output:\n%s", code, want, output)
			}
		})
	}
}

// TestCheckPrint shows each value with its origin: the file, the environment and flags, later over earlier.
func TestCheckPrint(t *testing.T) {
	directory := t.TempDir()
	err := os.WriteFile(filepath.Join(directory, "static.yaml"), []byte(
		"entryPoints: {web: {address: \":8000\"}, other: {address: \":8001\"}}\nlog: {level: WARN}\n"), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PERGOLA_ENTRYPOINTS_WEB_ADDRESS", ":8002")
	output, code := harness.Command(t, directory, "check", "--print", "--configFile=static.yaml", "--log.level=DEBUG")
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, output)
	}
	for value, origin := range map[string]string{
		":8001": "static.yaml", ":8002": "PERGOLA_ENTRYPOINTS_WEB_ADDRESS", "DEBUG": "--log.level",
	} {
		found := false
		for line := range strings.Lines(output) {
			found = found || strings.Contains(line, value) && strings.Contains(line, origin)
		}
		if !found {
			t.Errorf("no line has %q with its origin %q:\n%s", value, origin, output)
		}
	}
	if strings.Contains(output, ":8000") {
		t.Errorf("the overridden value is shown as effective:\n%s", output)
	}
}
