package snapshot

import (
	"fmt"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
)

// What follows the names in a router, as dashboards do, finds the objects: entry points are there when the
// router names none, and middlewares have their provider, those of the entry points first.
func TestViewFollows(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.EntryPoints = map[string]*static.EntryPoint{"web": entryPoint("first", "own"), "inner": entryPoint("first"), "traefik": entryPoint()}
	})
	f.load(t, `
http:
  routers:
    all: {rule: Path("/a"), service: noop@internal, middlewares: [own, other@elsewhere]}
    one: {rule: Path("/b"), service: noop@internal, entryPoints: [traefik], middlewares: [own]}
  middlewares:
    own: {addPrefix: {prefix: /own}}
    first: {addPrefix: {prefix: /first}}
tcp:
  routers:
    t: {rule: HostSNI("*"), service: s, middlewares: [few]}
  services:
    s: {loadBalancer: {servers: [{address: "10.0.0.1:1"}]}}
  middlewares:
    few: {inFlightConn: {amount: 1}}
`)
	v := f.live.Snapshot().View()
	for name, want := range map[string]string{
		"all@file": "[inner web] [first@file own@file other@elsewhere]",
		"one@file": "[traefik] [own@file]",
	} {
		if r := v.Routers[name]; fmt.Sprint(r.EntryPoints, " ", r.Middlewares) != want {
			t.Errorf("router %s is shown with %s %s, not %s", name, r.EntryPoints, r.Middlewares, want)
		}
	}
	if r := v.TCPRouters["t@file"]; fmt.Sprint(r.EntryPoints, " ", r.Middlewares) != "[inner web] [few@file]" {
		t.Errorf("the TCP router is shown with %s %s", r.EntryPoints, r.Middlewares)
	}
}

// What is wrong with the transports of the static configuration is said of the keys that are written there.
func TestProblemsOfStaticTransports(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.Transport = &dynamic.ServersTransport{MinVersion: "1"}
		o.TCPTransport = &dynamic.TCPServersTransport{TLS: &dynamic.TLSClient{RootCAs: []string{"gone.pem"}}}
	})
	want := []string{
		`static configuration: serversTransport: minVersion: "1" is not a version: use VersionTLS10, VersionTLS11, VersionTLS12 or VersionTLS13`,
		"static configuration: tcpServersTransport: rootCAs[0]: open gone.pem: no such file or directory",
	}
	for i, p := range f.report.Problems {
		if i >= len(want) || p.String() != want[i] {
			t.Errorf("problem %s", p)
		}
	}
	if len(f.report.Problems) != len(want) {
		t.Errorf("%d problems, not %d", len(f.report.Problems), len(want))
	}
}
