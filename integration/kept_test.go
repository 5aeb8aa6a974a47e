//go:build linux

package integration

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/integration/harness"
	"github.com/pergola-mesh/pergola/internal/nettest"
)

// everyObject has an object of every kind of TCP, UDP and TLS, on entry points of its own. What is guarded is
// closed to the test: by an address it does not have, or a certificate it may leave out.
const everyObject = `
-- static.yaml --
entryPoints:
  web: {address: $WEB}
  open: {address: $OPEN}
  guarded: {address: $GUARDED}
  dns: {address: $DNS/udp}
  traefik: {address: $ADMIN}
providers: {providersThrottleDuration: 50ms, file: {directory: $DIR/dynamic}}
metrics: {prometheus: {}}
api: {insecure: true}
-- dynamic/guarded.yaml --
` + guardedObjects + `
-- dynamic/http.yaml --
http:
  routers:
    site: {entryPoints: [web], rule: Host(~site.example~), service: site, middlewares: [forbid], tls: {}}
  services:
    site: {loadBalancer: {servers: [{url: "http://127.0.0.1:1"}]}}
  middlewares:
    forbid: {ipAllowList: {sourceRange: [192.0.2.0/24]}}
  serversTransports:
    quick: {forwardingTimeouts: {dialTimeout: 1s}}
`

const guardedObjects = `
tcp:
  routers:
    open: {entryPoints: [open], rule: HostSNI(~*~), service: shared}
    guarded: {entryPoints: [guarded], rule: HostSNI(~*~), service: echo, middlewares: [nobody]}
    mutual: {entryPoints: [web], rule: HostSNI(~mutual.example~), service: echo, tls: {options: mutual}}
  services:
    echo: {loadBalancer: {servers: [{address: $TCP}], serversTransport: plain}}
    shared: {weighted: {services: [{name: echo, weight: 1}]}}
  middlewares:
    nobody: {ipAllowList: {sourceRange: [192.0.2.0/24]}}
  serversTransports:
    plain: {dialTimeout: 5s}
udp:
  routers:
    dns: {entryPoints: [dns], service: dns}
  services:
    dns: {loadBalancer: {servers: [{address: $UDP}]}}
tls:
  certificates:
    - {certFile: $DIR/site.crt, keyFile: $DIR/site.key}
  options:
    mutual: {clientAuth: {caFiles: [$DIR/ca.pem], clientAuthType: RequireAndVerifyClientCert}}
  stores:
    default: {defaultCertificate: {certFile: $DIR/other.crt, keyFile: $DIR/other.key}}
`

// TestEveryObjectKeepsItsLastGoodVersion edits one object after the other into an error, then whole sections.
// Nothing changes for traffic, and the log, the API and the metric say what is kept.
func TestEveryObjectKeepsItsLastGoodVersion(t *testing.T) {
	authority := harness.NewAuthority(t)
	open, guarded, dns := harness.FreeAddress(t), harness.FreeAddress(t), harness.FreeAddress(t)
	g := harness.Prepare(t, everyObject, harness.Vars{"OPEN": open, "GUARDED": guarded, "DNS": dns,
		"TCP": nettest.Serve(t, func(c net.Conn) { io.Copy(c, c) }), "UDP": backendUDP(t)})
	client := writePair(t, g, authority, "site", "site.example", "mutual.example")
	writePair(t, g, authority, "other", "other.example")
	g.Write("ca.pem", authority.PEM)
	g.Run()

	secure := func(name string, certificates ...tls.Certificate) *tls.Config {
		return &tls.Config{ServerName: name, RootCAs: authority.Pool(), Certificates: certificates}
	}
	// works tells what is wrong with what clients see.
	works := func() error {
		if got := echoed("tcp", open, nil); got != "hello" {
			return fmt.Errorf("the open router: %s", got)
		}
		if got := echoed("tcp", guarded, nil); got == "hello" {
			return fmt.Errorf("the guarded router lets everybody in")
		}
		if got := echoed("tcp", g.Web, secure("mutual.example")); got == "hello" {
			return fmt.Errorf("a client without a certificate gets in")
		}
		if got := echoed("tcp", g.Web, secure("mutual.example", client)); got != "hello" {
			return fmt.Errorf("a client with a certificate: %s", got)
		}
		if got := echoed("udp", dns, nil); got != "hello" {
			return fmt.Errorf("UDP: %s", got)
		}
		conn, err := tls.Dial("tcp", g.Web, secure("site.example"))
		if err != nil {
			return fmt.Errorf("the site: %w", err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n")
		if answer, _ := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 403 ") {
			return fmt.Errorf("the site's guard: %.100q", answer)
		}
		return nil
	}
	settled := func(kept int) {
		t.Helper()
		want := fmt.Sprintf("\npergola_config_kept_objects %d\n", kept)
		harness.Eventually(t, want, func() bool { return strings.Contains(string(get(t, "http://"+g.Admin+"/metrics")), want) })
		harness.Eventually(t, "everything to work", func() bool { return works() == nil })
	}
	settled(0)

	for _, e := range []struct {
		good, bad string
		kept      int
		said      string
	}{
		{"service: shared}", "servise: shared}", 1, "tcp.routers.open"},
		{"middlewares: [nobody]", "middlewares: [nobod]", 1, "tcp.routers.guarded"},
		{"middlewares: [nobody]", "middlewares: {nobody: true}", 1, "tcp.routers.guarded"},
		{"tls: {options: mutual}", "tls: {optoins: mutual}", 1, "tcp.routers.mutual"},
		{"HostSNI(~mutual.example~)", "HostSNI(~mutual.example~", 1, "tcp.routers.mutual"},
		{"tls: {options: mutual}", "tls: {options: none}", 1, "tcp.routers.mutual"},
		{"[{address: $TCP}]", "[{adress: $TCP}]", 1, "tcp.services.echo"},
		{"[{name: echo, weight: 1}]", "[{name: echo, weight: heavy}]", 1, "tcp.services.shared"},
		{"nobody: {ipAllowList", "nobody: {ipAlowList", 1, "tcp.middlewares.nobody"},
		{"nobody: {ipAllowList: {sourceRange: [192.0.2.0/24]}}", "nobody: 5", 1, "tcp.middlewares.nobody"},
		{"dialTimeout: 5s", "dialTimeout: soon", 1, "tcp.serversTransports.plain"},
		{"dns: {entryPoints: [dns], service: dns}", "dns: {entryPoints: [dns], servise: dns}", 1, "udp.routers.dns"},
		{"[{address: $UDP}]", "[{address: nowhere}]", 1, "udp.services.dns"},
		{"clientAuthType: RequireAndVerifyClientCert", "clientAuthType: Require", 1, "tls.options.mutual"},
		{"caFiles: [$DIR/ca.pem]", "caFile: [$DIR/ca.pem]", 1, "tls.options.mutual"},
		{"keyFile: $DIR/site.key", "keyfle: $DIR/site.key", 1, "tls.certificates[$DIR/site.crt]"},
		{"{certFile: $DIR/site.crt", "{certfle: $DIR/site.crt", 1, "[0].certfle"},
		{"keyFile: $DIR/site.key", "keyFile: $DIR/other.key", 1, "tls.certificates[$DIR/site.crt]"},
		{"defaultCertificate: {", "defaultCertificat: {", 1, "tls.stores.default"},
		// Sections.
		{"  routers:\n    open", "  router:\n    open", 3, "tcp.router"},
		{"tls:\n", "tls: 5\nx-tls:\n", 3, "tls: must be a section"},
		{"udp:\n", "utp:\n", 2, "did you mean udp?"},
		{guardedObjects, "tcp: [1]\nudp: x\ntls: y\n", 12, "tcp: must be a section of keys, not a list"},
	} {
		if strings.Count(guardedObjects, e.good) != 1 {
			t.Fatalf("%q is not in the file once", e.good)
		}
		g.Write("dynamic/guarded.yaml", strings.Replace(guardedObjects, e.good, e.bad, 1))
		settled(e.kept)
		if err := works(); err != nil {
			t.Errorf("%s: %v", e.bad, err)
		}
		said := strings.NewReplacer("$DIR", g.Dir).Replace(e.said)
		object, _, _ := strings.Cut(said, ":")
		if !strings.Contains(g.Log(), object) || !strings.Contains(g.Log(), "stays in force") {
			t.Errorf("%s: the log does not tell of %s", e.bad, object)
		}
		if problems := string(get(t, "http://"+g.Admin+"/api/problems")); !strings.Contains(problems, "stays in force") {
			t.Errorf("%s: the API says %s", e.bad, problems)
		}
		g.Write("dynamic/guarded.yaml", guardedObjects)
		settled(0)
	}
}

// writePair writes a certificate for names as NAME.crt and NAME.key into the gateway's directory.
func writePair(t *testing.T, g *harness.Gateway, a *harness.Authority, name string, names ...string) tls.Certificate {
	t.Helper()
	pair := a.Issue(names...)
	g.WritePair(name+".crt", name+".key", pair)
	return pair.Certificate
}

// echoed is what comes back of hello.
func echoed(network, address string, secure *tls.Config) string {
	conn, err := net.Dial(network, address)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(harness.Patience))
	if secure != nil {
		conn = tls.Client(conn, secure)
	}
	if _, err := io.WriteString(conn, "hello"); err != nil {
		return err.Error()
	}
	answer := make([]byte, 5)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err.Error()
	}
	return string(answer)
}
