package snapshot

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay"
	"github.com/pergola-mesh/pergola/proxy/relay/hello"
	"golang.org/x/tools/txtar"
)

// named gives routers of TCP scopes with their names.
type named struct{ exchange.StreamScope }

func (named) StreamRouter(name, _ string) exchange.StreamScope { return streamName{name: name} }

type streamName struct {
	exchange.StreamScope
	name string
}

func (s streamName) Name() string { return s.name }

// Routers of HTTP and TCP share an entry point in the order of Traefik.
func TestWhoTakesAConnection(t *testing.T) {
	const services = `
  services: {s: {loadBalancer: {servers: [{address: "10.0.0.1:1"}]}}}
`
	client := &exchange.Conn{Peer: netip.MustParseAddrPort("192.0.2.1:1")}
	f := newFixture(t, func(o *Options) { o.Streams = named{} })
	who := func(r *relay.Route) string {
		if r == nil {
			return "HTTP"
		}
		return r.Router.Name()
	}
	take := func(name string, protocols ...string) string {
		return who(f.live.Routes("web")().Secure(client, &hello.Hello{ServerName: name, Protocols: protocols}, false))
	}
	if f.live.Routes("web")() != nil || f.live.Routes("nowhere")() != nil {
		t.Error("an entry point without TCP routers has some")
	}

	load := func(text string) { f.load(t, strings.ReplaceAll(text+services, "~", "`")) }
	load("tcp:\n  routers:\n    all: {rule: HostSNI(~*~), service: s}")
	if r := f.live.Routes("web")(); who(r.Early(client)) != "all@file" || who(r.Plain(client)) != "all@file" || r.Secures() {
		t.Error("a router that needs to know nothing waits")
	}

	load(`
http:
  routers:
    site: {rule: Host(~both.example~) || Host(~www.example~), service: noop@internal, tls: {}}
tcp:
  routers:
    all: {rule: HostSNI(~*~), service: s}
    both: {rule: HostSNI(~both.example~), service: s, tls: {}}
    only: {rule: HostSNI(~only.example~), service: s, tls: {}, priority: 1}
    rest: {rule: HostSNI(~*~), service: s, tls: {passthrough: true}}`)
	r := f.live.Routes("web")()
	if who(r.Early(client)) != "HTTP" || who(r.Plain(client)) != "all@file" {
		t.Error("a client is not waited for where TLS may come")
	}
	for name, want := range map[string]string{
		"both.example": "HTTP", "www.example": "HTTP", "only.example": "only@file", "other.example": "HTTP", "": "HTTP",
	} {
		if got := take(name); got != want {
			t.Errorf("%q goes to %s, not %s", name, got, want)
		}
	}
	if got := take("only.example", "acme-tls/1"); got != "HTTP" {
		t.Errorf("a challenge goes to %s", got)
	}
	if got := who(r.Secure(client, &hello.Hello{ServerName: "both.example"}, true)); got != "both@file" {
		t.Errorf("a client that cannot mean HTTP goes to %s", got)
	}
	// Without HTTPS the rest is the catch-all's.
	load("tcp:\n  routers:\n    rest: {rule: HostSNI(~*~), service: s, tls: {passthrough: true}}")
	if got := take("other.example"); got != "rest@file" {
		t.Errorf("the rest goes to %s", got)
	}
}

// A connection for a name over whose options nothing but chance would decide is ended, whichever router has it;
// where something decides, the router that takes it serves.
func TestTiesServeNobody(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/tls_ties.txtar")
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, func(o *Options) { o.Streams = named{} })
	f.load(t, string(archive.Files[1].Data))
	client := &exchange.Conn{Peer: netip.MustParseAddrPort("192.0.2.1:1")}
	for name, want := range map[string]string{
		"a.example": "refused", "b.wild": "refused", "other.wild": "refused", "d.regexp": "refused",
		"e.example": "priority2@file", "g.example": "agree1@file", "f.example": "alpn1@file", "x.c.deep": "deep1@file", "site.example": "HTTP",
		"b.c.deep": "deep1@file",
	} {
		got := "HTTP"
		if r := f.live.Routes("web")().Secure(client, &hello.Hello{ServerName: name, Protocols: []string{"x"}}, false); r != nil {
			if got = r.Router.Name(); r.Err != nil {
				got = "refused"
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
