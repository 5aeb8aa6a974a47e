//go:build linux

package harness

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/certtest"
)

// An Authority issues certificates that a test trusts.
type Authority struct {
	PEM string // its own certificate

	t         testing.TB
	responder string // of OCSP; empty for none
	made      *certtest.Authority
}

// NewAuthority makes an authority of its own.
func NewAuthority(t testing.TB) *Authority {
	made := certtest.NewAuthority("Test Authority")
	return &Authority{string(made.PEM()), t, "", made}
}

// A Pair is a certificate and its key, in PEM too. No certificate of an authority is with it.
type Pair struct {
	tls.Certificate
	Chain, Key string
}

func newPair(c tls.Certificate) Pair {
	chain, key := certtest.PEM(c)
	return Pair{c, string(chain), string(key)}
}

// Issue makes a certificate for names, which are hosts or addresses, that is good for 90 days. The subject is
// the first name; the serial number tells it from others.
func (a *Authority) Issue(names ...string) Pair {
	c := a.made.Issue(names, func(c *x509.Certificate) {
		c.Subject, c.NotAfter = pkix.Name{CommonName: names[0]}, time.Now().Add(90*24*time.Hour)
		if a.responder != "" {
			c.OCSPServer = []string{a.responder}
		}
	})
	c.Certificate = c.Certificate[:1]
	return newPair(c)
}

// Pool holds the authority alone.
func (a *Authority) Pool() *x509.CertPool { return a.made.Pool() }

// SelfSigned makes a certificate for loopback that is its own authority.
func SelfSigned() Pair { return newPair(certtest.SelfSigned([]string{"127.0.0.1", "localhost"})) }

// WritePair writes a certificate and its key into the gateway's directory.
func (g *Gateway) WritePair(certificate, key string, p Pair) {
	g.t.Helper()
	g.Write(certificate, p.Chain)
	g.Write(key, p.Key)
}
