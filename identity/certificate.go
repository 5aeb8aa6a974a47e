package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/pemtext"
)

// Certificate is a chain with its key. It does not change but for its OCSP staple, and is safe for
// concurrent use.
type Certificate struct {
	leaf  *x509.Certificate
	names []string // as certificateName gives them
	rank  int      // lower is better: the cost of a signature
	// mustStaple says that clients refuse it without an OCSP answer.
	mustStaple bool
	ready      atomic.Pointer[tls.Certificate]
}

// ParseCertificate reads a chain, leaf first, and the leaf's key, both in PEM. It refuses a key that is
// not the certificate's, and a certificate with a name that readers may take for another.
func ParseCertificate(chain, key []byte) (*Certificate, error) {
	pair, err := pemtext.KeyPair(chain, key)
	if err != nil {
		return nil, err
	}
	return NewCertificate(pair)
}

// NewCertificate is ParseCertificate of what was parsed already.
func NewCertificate(pair tls.Certificate) (*Certificate, error) {
	if pair.Leaf == nil {
		if len(pair.Certificate) == 0 {
			return nil, errors.New("there is no certificate")
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			return nil, err
		}
		pair.Leaf = leaf
	}
	c := &Certificate{leaf: pair.Leaf, rank: rank(pair.Leaf), mustStaple: asksForStaple(pair.Leaf)}
	names := pair.Leaf.DNSNames
	for _, ip := range pair.Leaf.IPAddresses {
		names = append(names[:len(names):len(names)], ip.String())
	}
	if len(names) == 0 { // as in the days before alternative names
		names = []string{pair.Leaf.Subject.CommonName}
	}
	for _, name := range names {
		normal, err := certificateName(name)
		if err != nil {
			return nil, fmt.Errorf("name %q: %w", name, err)
		}
		if normal != "" {
			c.names = append(c.names, normal)
		}
	}
	c.ready.Store(&pair)
	return c, nil
}

// Leaf is the certificate itself. Do not change it.
func (c *Certificate) Leaf() *x509.Certificate { return c.leaf }

// Names are what the certificate is for, in the form in which names are compared. Do not change it.
func (c *Certificate) Names() []string { return c.names }

// EndsSoon is when a certificate is to be replaced at the latest: 14 days before its end, or when a quarter of its
// life is left if that is less.
func EndsSoon(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-min(14*24*time.Hour, leaf.NotAfter.Sub(leaf.NotBefore)/4))
}

// Covers reports whether the certificate is for a host, or for exactly this wildcard.
func (c *Certificate) Covers(name string) bool {
	normal, err := certificateName(name)
	if err != nil || normal == "" {
		return false
	}
	wildcard := Wildcard(normal)
	for _, n := range c.names {
		if n == normal || n == wildcard {
			return true
		}
	}
	return false
}

// rank orders certificates for one name: ECDSA signs for a fraction of what RSA costs.
func rank(leaf *x509.Certificate) int {
	switch leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return 0
	case ed25519.PublicKey:
		return 1
	}
	return 2
}
