package acme

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/identity/acme/storage"
)

// certificate is one that the storage holds, ready to serve.
type certificate struct {
	stored *storage.Certificate
	names  []string // in normal form
	ready  *identity.Certificate
	leaf   *x509.Certificate
}

// parse reads a stored certificate.
func parse(c *storage.Certificate) (*certificate, error) {
	pair, err := tls.X509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", c.ID(), err)
	}
	ready, err := identity.NewCertificate(pair)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", c.ID(), err)
	}
	parsed := &certificate{stored: c, ready: ready, leaf: pair.Leaf}
	for _, name := range pair.Leaf.DNSNames {
		if name, err := normalName(name); err == nil {
			parsed.names = append(parsed.names, name)
		}
	}
	for _, ip := range pair.Leaf.IPAddresses {
		if name, err := normalName(ip.String()); err == nil {
			parsed.names = append(parsed.names, name)
		}
	}
	return parsed, nil
}

// newStored makes what is stored of what an authority issued.
func newStored(names []string, chain, key []byte, caServer string) *storage.Certificate {
	return &storage.Certificate{
		Domain:      dynamic.Domain{Main: names[0], SANs: slices.Clone(names[1:])},
		Certificate: chain, Key: key, Store: "default", CAServer: caServer,
	}
}

// expired says whether nobody will accept the certificate any more.
func (c *certificate) expired(now time.Time) bool { return !now.Before(c.leaf.NotAfter) }

// of says whether the certificate is of the authority, as far as is known.
func (c *certificate) of(caServer string) bool {
	return c.stored.CAServer == "" || c.stored.CAServer == caServer
}

// renewal is when the certificate is to be renewed: after two thirds of its life or of the lifetime to
// count on, whichever is shorter, less a little, which differs from certificate to certificate but is
// the same for every gateway.
func (c *certificate) renewal(lifetime time.Duration) time.Time {
	life := c.leaf.NotAfter.Sub(c.leaf.NotBefore)
	if lifetime > 0 {
		life = min(life, lifetime)
	}
	return c.leaf.NotBefore.Add(life*2/3 - c.share(life/20))
}

// share is a part of d that depends on the certificate alone.
func (c *certificate) share(d time.Duration) time.Duration {
	h := fnv.New32a()
	h.Write(c.leaf.Raw)
	return time.Duration(float64(d) * float64(h.Sum32()) / (1 << 32))
}
