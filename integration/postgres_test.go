//go:build linux

package integration

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// databases begins the configuration of a gateway whose API shows what probes of databases find.
const databases = `
-- static.yaml --
entryPoints:
  web: {address: $WEB}
  traefik: {address: $ADMIN}
api: {insecure: true}
log: {level: INFO}
providers:
  file: {filename: $DIR/routes.yaml}
-- routes.yaml --
`

const postgresGateway = databases + `tcp:
  routers:
    told: {rule: HostSNI(~told.example.com~), service: told, tls: {}}
    found: {rule: HostSNI(~found.example.com~), service: found, tls: {}}
    passed: {rule: HostSNI(~db.internal~), service: passed, tls: {passthrough: true}}
  services:
    told:
      loadBalancer:
        servers: [{address: $DATABASE, tls: true}]
        serversTransport: internal
        healthCheck: {protocol: postgres, interval: 50ms}
    found:
      loadBalancer:
        servers: [{address: $DATABASE, tls: true}]
        serversTransport: internal
        healthCheck: {interval: 50ms}
    # It is asked without TLS, which it takes no logins without, and says so: it is there.
    passed:
      loadBalancer:
        servers: [{address: $DATABASE}]
        healthCheck: {protocol: postgres, user: somebody, interval: 50ms}
    full:
      loadBalancer:
        servers: [{address: $FULL, tls: true}]
        serversTransport: internal
        healthCheck: {protocol: postgres, interval: 50ms}
    mistrusted:
      loadBalancer:
        servers: [{address: $DATABASE, tls: true}]
        healthCheck: {protocol: postgres, interval: 50ms}
  serversTransports:
    internal: {tls: {serverName: db.internal, rootCAs: [$DIR/ca.pem]}}
tls:
  certificates: [{certFile: $DIR/a.crt, keyFile: $DIR/a.key}]
`

// A server of Postgres is found to be up and down in its own protocol, and its clients come to it.
func TestPostgres(t *testing.T) {
	authority, internal := harness.NewAuthority(t), harness.NewAuthority(t)
	own := internal.Issue("db.internal")
	database, directory := harness.Postgres(t, own.Chain, own.Key)
	full, _ := harness.Postgres(t, own.Chain, own.Key, "-c", "max_connections=4", "-c", "superuser_reserved_connections=0", "-c", "max_wal_senders=0")
	g := harness.Prepare(t, postgresGateway, harness.Vars{"DATABASE": database, "FULL": full})
	g.WritePair("a.crt", "a.key", authority.Issue("told.example.com", "found.example.com"))
	g.Write("ca.pem", internal.PEM)
	g.Write("clients-ca.pem", authority.PEM)
	g.Run()

	awaitState(t, g, "mistrusted@file", database, "DOWN")
	awaitState(t, g, "full@file", full, "UP")
	hold(t, full, 4)
	awaitState(t, g, "full@file", full, "DOWN")
	if log := g.Log(); !strings.Contains(log, "too many clients already (53300)") {
		t.Error("the log does not tell why the server is down")
	}
	// By now there have been many probes of the others.
	for _, service := range []string{"told@file", "found@file", "passed@file"} {
		awaitState(t, g, service, database, "UP")
	}
	log, err := os.ReadFile(filepath.Join(directory, "log"))
	if err != nil {
		t.Fatal(err)
	}
	if odd := strings.Count(string(log), "invalid length of startup packet"); odd != 1 {
		t.Errorf("the server was taken %d times for one that begins with TLS, and should have been once", odd)
	}
	if text := string(log); strings.Contains(text, "reset by peer") || strings.Contains(text, "password authentication failed") || strings.Contains(text, "incomplete startup") {
		t.Errorf("probes make the server complain:\n%s", text[max(0, len(text)-2000):])
	}

	for name, options := range map[string]string{
		"told.example.com": "clients-ca.pem channel_binding=disable", "found.example.com": "clients-ca.pem channel_binding=disable",
		"db.internal": "ca.pem channel_binding=require",
	} {
		if out, err := psql(t, g.Web, name, "sslrootcert="+g.Dir+"/"+options, "SELECT count(*) FROM generate_series(1, 100000)"); err != nil || out != "100000\n" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
	if strings.Count(g.Log(), "server is down") != 2 {
		t.Errorf("servers have been down that were not:\n%s", g.Log())
	}
}

// awaitState waits until the API shows a server of a service of TCP in a state.
func awaitState(t *testing.T, g *harness.Gateway, service, server, state string) {
	t.Helper()
	harness.Eventually(t, service+" to be "+state, func() bool {
		response, err := http.Get("http://" + g.Admin + "/api/tcp/services/" + service)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		var shown struct{ ServerStatus map[string]string }
		return json.NewDecoder(response.Body).Decode(&shown) == nil && shown.ServerStatus[server] == state
	})
}

// psql runs a statement on a server at address that it knows as name.
func psql(t *testing.T, address, name, options, statement string) (string, error) {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	c := exec.CommandContext(ctx, "psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command="+statement,
		"host="+name+" hostaddr="+host+" port="+port+" user=postgres dbname=postgres sslmode=verify-full "+options)
	c.Env = append(os.Environ(), "PGPASSWORD=secret")
	out, err := c.CombinedOutput()
	return string(out), err
}

// hold takes a server's connections until the test ends. Some may be a probe's for a moment.
func hold(t *testing.T, address string, count int) {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	for range count {
		harness.Eventually(t, "a connection to hold", func() bool {
			c := exec.Command("psql", "--no-psqlrc", "--command=SELECT 'held'", "--command=SELECT pg_sleep(600)",
				"host="+host+" port="+port+" user=postgres dbname=postgres sslmode=require")
			c.Env = append(os.Environ(), "PGPASSWORD=secret")
			out, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := out.Read(make([]byte, 1)); err != nil {
				c.Wait()
				return false
			}
			t.Cleanup(func() {
				c.Process.Kill()
				c.Wait()
			})
			return true
		})
	}
}
