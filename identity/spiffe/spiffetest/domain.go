// Package spiffetest makes SPIFFE identities for tests, and an agent that gives them out.
package spiffetest

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"testing"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/pergola-mesh/pergola/internal/certtest"
)

// Domain is a trust domain with its authority.
type Domain struct {
	Name      string
	Authority *certtest.Authority
}

// NewDomain makes a trust domain. Two of one name have different authorities.
func NewDomain(t testing.TB, name string) *Domain {
	t.Helper()
	return &Domain{name, certtest.NewAuthority(name)}
}

// Issue makes an identity, such as that of "/api", which is good for an hour.
func (d *Domain) Issue(t testing.TB, path string, change ...func(*x509.Certificate)) *x509svid.SVID {
	t.Helper()
	id := &url.URL{Scheme: "spiffe", Host: d.Name, Path: path}
	change = append([]func(*x509.Certificate){func(c *x509.Certificate) { c.URIs = []*url.URL{id} }}, change...)
	chain, key := certtest.PEM(d.Authority.Issue(nil, change...))
	svid, err := x509svid.Parse(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	return svid
}

// Bundle is the trust domain's authority.
func (d *Domain) Bundle() *x509bundle.Bundle {
	return x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(d.Name), []*x509.Certificate{d.Authority.Certificate})
}

// Server is the configuration of a server with an identity, for clients of trust domains alone. Domains of
// one name are one with several authorities.
func Server(id x509svid.Source, clients ...*Domain) *tls.Config {
	known := x509bundle.NewSet()
	for _, d := range clients {
		bundle := d.Bundle()
		if before, ok := known.Get(bundle.TrustDomain()); ok {
			bundle.SetX509Authorities(append(bundle.X509Authorities(), before.X509Authorities()...))
		}
		known.Add(bundle)
	}
	return tlsconfig.MTLSServerConfig(id, known, tlsconfig.AuthorizeAny())
}
