package snapshot

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

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
