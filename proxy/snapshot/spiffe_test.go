package snapshot

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// nobody is a gateway's identity that has not come yet.
type nobody struct{ epoch uint64 }

var errNobody = errors.New("no identity yet")

func (n *nobody) Epoch() uint64                        { return n.epoch }
func (n *nobody) GetX509SVID() (*x509svid.SVID, error) { return nil, errNobody }
func (n *nobody) GetX509BundleForTrustDomain(spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	return nil, errNobody
}

// What stands in spiffe is checked without an identity, and nothing of TLS stands beside it.
func TestSPIFFESettings(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.SPIFFE = &nobody{} })
	for _, tt := range []struct{ transport, problem string }{
		{`spiffe: {}`, ""},
		{`spiffe: {ids: ["spiffe://example.org/api", "spiffe://example.org"]}`, ""},
		{`spiffe: {trustDomain: example.org}`, ""},
		{`spiffe: {trustDomain: "spiffe://example.org"}`, ""},
		{`spiffe: {ids: ["spiffe://example.org/api", api]}`, `spiffe: ids[1]: "api" is no SPIFFE ID, such as spiffe://example.org/api`},
		{`spiffe: {trustDomain: "Example Org"}`, `spiffe: trustDomain: "Example Org" is no trust domain, such as example.org`},
		{`spiffe: {}, rootCAs: [ca.pem], serverName: a`, "spiffe: stands beside serverName, rootCAs, and both sides are known by it alone: remove one or the other"},
		{`spiffe: {}, insecureSkipVerify: true`, "beside insecureSkipVerify,"},
		{`spiffe: {}, certificates: [{certFile: a, keyFile: b}]`, "beside certificates,"},
		{`spiffe: {}, peerCertURI: "spiffe://a/b"`, "beside peerCertURI,"},
		{`spiffe: {}, peerCertSANs: [{type: URI, value: a}]`, "beside peerCertSANs,"},
	} {
		for section, text := range map[string]string{
			"http.serversTransports.s: ": "http: {serversTransports: {s: {" + tt.transport + "}}}",
			"tcp.serversTransports.s: ":  "tcp: {serversTransports: {s: {tls: {" + tt.transport + "}}}}",
		} {
			f.load(t, text)
			said := f.problems()
			if tt.problem == "" && len(said) == 0 {
				continue
			}
			if tt.problem == "" || len(said) != 1 || !strings.Contains(said[0].String(), section) || !strings.Contains(said[0].String(), tt.problem) {
				t.Errorf("%s: %v", text, said)
			}
		}
	}
	for _, beside := range []string{"minVersion: VersionTLS12", "maxVersion: VersionTLS13", "cipherSuites: [TLS_AES_128_GCM_SHA256]"} {
		f.load(t, "http: {serversTransports: {s: {spiffe: {}, "+beside+"}}}")
		if said := f.problems(); len(said) != 1 || !strings.Contains(said[0].String(), "beside "+strings.SplitN(beside, ":", 2)[0]) {
			t.Errorf("%s: %v", beside, said)
		}
	}
	without := newFixture(t)
	without.load(t, "tcp: {serversTransports: {s: {tls: {spiffe: {}}}}}")
	if said := without.problems(); len(said) != 1 || !strings.Contains(said[0].String(), "tcp.serversTransports.s: spiffe: needs spiffe.workloadAPIAddr in the static configuration") {
		t.Errorf("without an agent: %v", said)
	}
}

// Servers without TLS are nobody's that is known: that is said of each service that has some, and does not stop it.
func TestSPIFFEWithoutTLS(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.SPIFFE = &nobody{}
		o.Transport = &dynamic.ServersTransport{Spiffe: &dynamic.Spiffe{}}
		o.TCPTransport = &dynamic.TCPServersTransport{TLS: &dynamic.TLSClient{Spiffe: &dynamic.Spiffe{}}}
	})
	f.load(t, `
http:
  services:
    all: {loadBalancer: {serversTransport: known, servers: [{url: "https://a"}, {url: "https://b"}]}}
    some: {loadBalancer: {serversTransport: known, servers: [{url: "https://a"}, {url: "http://b"}, {url: "h2c://c"}]}}
    none: {loadBalancer: {servers: [{url: "http://a"}, {url: "http://b"}, {url: "http://c"}, {url: "http://d"}]}}
    other: {loadBalancer: {serversTransport: other, servers: [{url: "http://a"}]}}
  serversTransports: {known: {spiffe: {}}, other: {}}
tcp:
  services:
    all: {loadBalancer: {serversTransport: known, servers: [{address: "a:1", tls: true}]}}
    some: {loadBalancer: {serversTransport: known, terminationDelay: 1, servers: [{address: "a:1", tls: true}, {address: "b:1"}]}}
    none: {loadBalancer: {servers: [{address: "a:1"}]}}
    other: {loadBalancer: {serversTransport: other, servers: [{address: "a:1"}]}}
  serversTransports: {known: {tls: {spiffe: {}}}, other: {}}
`)
	const why = ": without TLS nobody knows who answers there; "
	want := []string{
		"http.services.none: the static serversTransport has spiffe, which does nothing for http://a, http://b, http://c and 1 more" + why + "give it an https:// URL, or use a serversTransport without spiffe",
		"http.services.some: serversTransport known@file has spiffe, which does nothing for http://b, h2c://c" + why + "give it an https:// URL, or use a serversTransport without spiffe",
		"tcp.services.none: the static tcpServersTransport has spiffe, which does nothing for a:1" + why + "give it tls: true, or use a serversTransport without spiffe",
		"tcp.services.some: serversTransport known@file has spiffe, which does nothing for b:1" + why + "give it tls: true, or use a serversTransport without spiffe",
	}
	said := f.problems()
	for i, p := range said {
		if i >= len(want) || !strings.HasSuffix(p.String(), want[i]) {
			t.Errorf("%s", p)
		}
	}
	view := f.live.Snapshot().View()
	if len(said) != len(want) || view.Services["some@file"].Status != Warning || view.TCPServices["some@file"].Status != Warning || view.Services["all@file"].Status != Enabled {
		t.Errorf("%d problems, and services that are %s, %s and %s", len(said), view.Services["some@file"].Status, view.TCPServices["some@file"].Status, view.Services["all@file"].Status)
	}
}

// Another epoch has the transports built again that stand on the identity, and what uses them; no other,
// and nothing when the epoch is the same.
func TestIdentityIsReplaced(t *testing.T) {
	source := &nobody{epoch: 1}
	f := newFixture(t, func(o *Options) { o.SPIFFE = source })
	f.load(t, `
http:
  routers: {a: {rule: PathPrefix("/a"), service: a}, b: {rule: PathPrefix("/b"), service: b}}
  services:
    a: {loadBalancer: {serversTransport: known, servers: [{url: "https://a"}]}}
    b: {loadBalancer: {serversTransport: other, servers: [{url: "https://b"}]}}
  serversTransports: {known: {spiffe: {}}, other: {serverName: b}}
tcp:
  services: {a: {loadBalancer: {serversTransport: known, servers: [{address: "a:1", tls: true}]}}}
  serversTransports: {known: {tls: {spiffe: {}}}}
`)
	if said := f.problems(); len(said) > 0 {
		t.Fatal(said)
	}
	epochs := func() (epochs []uint64) {
		for _, n := range f.builder.graph.nodes {
			if t, ok := n.value.(*upstream.Transport); ok && t.TLS.SPIFFE != nil {
				epochs = append(epochs, t.TLS.SPIFFE.Epoch)
			}
		}
		return epochs
	}
	f.refresh()
	if f.report.Changed || !slices.Equal(epochs(), []uint64{1}) {
		t.Errorf("%+v without another identity, epochs %v", f.report.Built, epochs())
	}
	source.epoch = 2
	f.refresh()
	if want := (Counts{Routers: 1, Services: 2, ServersTransports: 2}); f.report.Built != want || !slices.Equal(epochs(), []uint64{2}) {
		t.Errorf("%+v, want %+v, epochs %v", f.report.Built, want, epochs())
	}
	f.pools.mu.Lock()
	open := f.pools.open["https://a"]
	f.pools.mu.Unlock()
	if open != 1 {
		t.Errorf("%d pools of one server", open)
	}
	f.load(t, "http: {}")
	if f.builder.graph.nodes[ownIdentity] != nil {
		t.Error("the identity is remembered and nobody uses it")
	}
}
