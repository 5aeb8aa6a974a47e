// Package certtest makes certificates for tests. What it makes it makes without a test, so that all those of
// a package may share it by sync.OnceValue: what cannot fail panics.
package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// Authority signs certificates.
type Authority struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// NewAuthority returns an authority that is trusted for an hour.
func NewAuthority(name string) *Authority {
	key := ecdsaKey()
	template := newTemplate(nil, nil)
	template.Subject = pkix.Name{CommonName: name}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	return &Authority{sign(template, template, key.Public(), key), key}
}

// PEM is the authority's certificate.
func (a *Authority) PEM() []byte { return CertificatePEM(a.Certificate) }

// Pool is a pool of the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate)
	return pool
}

// Issue makes a certificate for names and addresses, with an ECDSA key of its own, which is good for an
// hour for servers and clients.
func (a *Authority) Issue(names []string, change ...func(*x509.Certificate)) tls.Certificate {
	return a.IssueFor(ecdsaKey(), names, change...)
}

// IssueRSA is Issue with an RSA key.
func (a *Authority) IssueRSA(names []string, change ...func(*x509.Certificate)) tls.Certificate {
	return a.IssueFor(must(rsa.GenerateKey(rand.Reader, 2048)), names, change...)
}

// IssueFor is Issue for a key.
func (a *Authority) IssueFor(key crypto.Signer, names []string, change ...func(*x509.Certificate)) tls.Certificate {
	usable := func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageDigitalSignature
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	template := newTemplate(names, append([]func(*x509.Certificate){usable}, change...))
	leaf := sign(template, a.Certificate, key.Public(), a.Key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, a.Certificate.Raw}, PrivateKey: key, Leaf: leaf}
}

// SelfSigned makes a certificate for names and addresses that is its own authority, good for an hour for
// servers.
func SelfSigned(names []string, change ...func(*x509.Certificate)) tls.Certificate {
	own := func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }
	key, template := ecdsaKey(), newTemplate(names, append([]func(*x509.Certificate){own}, change...))
	leaf := sign(template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// PEM is a chain and its key.
func PEM(c tls.Certificate) (chain, key []byte) {
	for _, der := range c.Certificate {
		chain = append(chain, encode("CERTIFICATE", der)...)
	}
	return chain, encode("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(c.PrivateKey)))
}

// CertificatePEM is a certificate alone.
func CertificatePEM(c *x509.Certificate) []byte { return encode("CERTIFICATE", c.Raw) }

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// serials bounds serial numbers: random ones of a length that scanners take for honest.
var serials = new(big.Int).Lsh(big.NewInt(1), 120)

// newTemplate is a certificate to be signed, with names and addresses, and changed as is wished.
func newTemplate(names []string, change []func(*x509.Certificate)) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, serials)), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	for _, c := range change {
		c(template)
	}
	return template
}

func ecdsaKey() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, public, key))))
}

// must is for what fails by a mistake of the test alone.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
