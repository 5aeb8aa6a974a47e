package snapshot

import (
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// A provider may send what this build cannot honour, and what no file could say: it is told so.
func TestUpdatesFromCode(t *testing.T) {
	f := newFixture(t)
	f.apply(dynamic.Update{Provider: "code", Config: &dynamic.Configuration{
		HTTP: &dynamic.HTTPConfiguration{
			Routers: map[string]*dynamic.Router{
				"nil": nil,
				"tls": {Rule: "Path(`/tls`)", Service: "noop@internal", TLS: &dynamic.RouterTLS{}},
			},
			Services: map[string]*dynamic.Service{
				"none": {},
				"two":  {LoadBalancer: &dynamic.LoadBalancer{}, Weighted: &dynamic.Weighted{}},
			},
			Middlewares:       map[string]*dynamic.Middleware{"kindless": {}},
			ServersTransports: map[string]*dynamic.ServersTransport{"spiffe": {Spiffe: &dynamic.Spiffe{}}},
		},
		TCP: &dynamic.TCPConfiguration{Routers: map[string]*dynamic.TCPRouter{"t": {Rule: "HostSNI(`*`)"}}},
		UDP: &dynamic.UDPConfiguration{Services: map[string]*dynamic.UDPService{"u": {}}},
		TLS: &dynamic.TLSConfiguration{
			Certificates: []*dynamic.CertAndStores{{CertFile: "a.pem"}},
			Options:      map[string]*dynamic.TLSOptions{"default": {}},
		},
	}})
	v := f.live.Snapshot().View()
	want := strings.TrimPrefix(`
router tls@code: enabled, on [web], priority 12
service none@code: disabled
	a service needs one of loadBalancer, weighted, highestRandomWeight, mirroring, failover
service noop@internal: enabled, used by [tls@code]
service two@code: disabled
	a service is of one kind, not of loadBalancer and weighted; make one of each
middleware kindless@code: disabled
	the middleware has no kind: give it one, such as headers
tcp router t@code: disabled, on [web], priority -1
	the router has no service
udp service u@code: disabled
	a service needs one of loadBalancer, weighted
problem code: http.middlewares.kindless: the middleware has no kind: give it one, such as headers
problem code: http.serversTransports.spiffe: spiffe: needs spiffe.workloadAPIAddr in the static configuration, where the SPIFFE agent is reached, such as unix:///run/spire/agent.sock
problem code: http.services.none: a service needs one of loadBalancer, weighted, highestRandomWeight, mirroring, failover
problem code: http.services.two: a service is of one kind, not of loadBalancer and weighted; make one of each
problem code: tcp.routers.t: the router has no service
problem code: tls.certificates[a.pem]: certFile: open a.pem: no such file or directory
problem code: udp.services.u: a service needs one of loadBalancer, weighted
`, "\n")
	if got := dump(v); got != want {
		t.Errorf("the view is\n%s\nwant\n%s", got, want)
	}
	if v.TCPRouters["t@code"].TCPRouter == nil {
		t.Error("the view does not show the TCP router's configuration")
	}
}

// A provider that could read nothing keeps what it said before.
func TestUpdateWithoutConfig(t *testing.T) {
	f := newFixture(t)
	f.apply(answering("one", "host"))
	before := ask(f.live.Handler("web"), "GET", "/one")
	f.apply(dynamic.Update{Provider: "one", Problems: []dynamic.Problem{{Source: "one", Message: "cannot be read"}}})
	if after := ask(f.live.Handler("web"), "GET", "/one"); after != before || !strings.Contains(after, "http://host/one") {
		t.Errorf("answered %s, before %s", after, before)
	}
	if len(f.report.Problems) != 1 || f.report.Built.total() != 0 {
		t.Errorf("report %+v", f.report)
	}
}

// What is kept stays so while the provider can read nothing, and its reason stands.
func TestUpdateWithoutConfigKeeps(t *testing.T) {
	f := newFixture(t)
	f.load(t, "http: {routers: {one: {rule: Path(`/one`), service: noop@internal}}}")
	f.load(t, "http: {routers: {one: {rule: Path(`/one`), servise: noop@internal}}}")
	f.apply(dynamic.Update{Provider: "file", Problems: []dynamic.Problem{{Source: "file", Message: "cannot be read"}}})
	if got := ask(f.live.Handler("web"), "GET", "/one"); !strings.HasPrefix(got, "418") {
		t.Errorf("answered %s", got)
	}
	if f.report.Kept != 1 || len(f.report.Problems) != 3 {
		t.Errorf("report %+v", f.report)
	}
}

// The gateway's own routers come with the builder and may have any priority.
func TestInternalRouters(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.Internal = &dynamic.Configuration{HTTP: &dynamic.HTTPConfiguration{Routers: map[string]*dynamic.Router{
			"api": {EntryPoints: []string{"traefik"}, Rule: "PathPrefix(`/api`)", Priority: maxPriority + 999, Service: "api@internal"},
		}}}
	})
	if len(f.report.Problems) > 0 {
		t.Fatalf("problems: %v", f.report.Problems)
	}
	f.load(t, "http: {routers: {mine: {rule: PathPrefix(`/api`), priority: 9223372036854774807, entryPoints: [traefik], service: noop@internal}}}")
	if got := ask(f.live.Handler("traefik"), "GET", "/api"); got != "200, api@internal (silent), the api" {
		t.Error(got)
	}
}
