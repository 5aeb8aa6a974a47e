package api

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/pergola-mesh/pergola/proxy/snapshot"
)

// Certificate is a certificate in use.
type Certificate struct {
	*x509.Certificate
	// Origin is where it is from: OfConfiguration, OfACME, then from Resolver, or OfSPIFFE.
	Origin   string
	Resolver string
}

// Where certificates are from.
const (
	OfConfiguration = "configuration"
	OfACME          = "acme"
	OfSPIFFE        = "spiffe" // the gateway's own identity, which servers are shown
)

const (
	certificateExpired snapshot.Status = "expired"
	// expiresSoon is when a certificate's end is worth a warning, unless its life is so short that a quarter of it
	// is less.
	expiresSoon = 30 * 24 * time.Hour
)

func certificateStatus(c *x509.Certificate) snapshot.Status {
	switch left := time.Until(c.NotAfter); {
	case left < 0:
		return certificateExpired
	case left < min(expiresSoon, c.NotAfter.Sub(c.NotBefore)/4):
		return snapshot.Warning
	}
	return snapshot.Enabled
}

// shownCertificate is a certificate as it is shown. Its name is its fingerprint, SHA-256 of the DER.
type shownCertificate struct {
	Name                 string          `json:"name"`
	SANs                 []string        `json:"sans"`
	NotAfter             time.Time       `json:"notAfter"`
	NotBefore            time.Time       `json:"notBefore"`
	SerialNumber         string          `json:"serialNumber"`
	CommonName           string          `json:"commonName"`
	IssuerOrg            string          `json:"issuerOrg,omitempty"`
	IssuerCN             string          `json:"issuerCN,omitempty"`
	IssuerCountry        string          `json:"issuerCountry,omitempty"`
	Organization         string          `json:"organization,omitempty"`
	Country              string          `json:"country,omitempty"`
	Version              string          `json:"version"`
	KeyType              string          `json:"keyType"`
	KeySize              int             `json:"keySize,omitempty"`
	SignatureAlgorithm   string          `json:"signatureAlgorithm"`
	CertFingerprint      string          `json:"certFingerprint"`
	PublicKeyFingerprint string          `json:"publicKeyFingerprint"`
	Origin               string          `json:"origin"`
	Resolver             string          `json:"resolver,omitempty"`
	Status               snapshot.Status `json:"status"`
}

func showCertificate(of Certificate) shownCertificate {
	c := of.Certificate
	shown := shownCertificate{
		Name: fingerprint(c.Raw), SANs: names(c), NotAfter: c.NotAfter, NotBefore: c.NotBefore,
		SerialNumber: c.SerialNumber.String(), CommonName: c.Subject.CommonName,
		IssuerOrg: first(c.Issuer.Organization), IssuerCN: c.Issuer.CommonName, IssuerCountry: first(c.Issuer.Country),
		Organization: first(c.Subject.Organization), Country: first(c.Subject.Country),
		Version: fmt.Sprintf("v%d", c.Version), KeyType: "Unknown", SignatureAlgorithm: c.SignatureAlgorithm.String(),
		PublicKeyFingerprint: fingerprint(c.RawSubjectPublicKeyInfo), Status: certificateStatus(c),
		Origin: of.Origin, Resolver: of.Resolver,
	}
	shown.CertFingerprint = shown.Name
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		shown.KeyType, shown.KeySize = "RSA", key.N.BitLen()
	case *ecdsa.PublicKey:
		shown.KeyType, shown.KeySize = "ECDSA", key.Curve.Params().BitSize
	case ed25519.PublicKey:
		shown.KeyType, shown.KeySize = "Ed25519", 8*len(key)
	}
	return shown
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// names are the names a certificate is for, sorted.
func names(c *x509.Certificate) []string {
	all := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	for _, uri := range c.URIs {
		all = append(all, uri.String())
	}
	slices.Sort(all)
	return all
}

func first(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

func certificateItem(c Certificate) item {
	issuer := cmp.Or(first(c.Issuer.Organization), c.Issuer.CommonName)
	return item{
		name: c.Subject.CommonName, status: certificateStatus(c.Certificate), issuer: issuer, expires: c.NotAfter.Unix(),
		search: append([]string{c.Subject.CommonName, first(c.Issuer.Organization), c.Issuer.CommonName}, names(c.Certificate)...),
		show:   func() any { return showCertificate(c) },
	}
}

func certificateItems(s *state) []item {
	var items []item
	for _, c := range s.certificates {
		items = append(items, certificateItem(c))
	}
	return items
}

// findCertificate finds a certificate by its fingerprint.
func findCertificate(s *state, name string) (item, bool) {
	for _, c := range s.certificates {
		if fingerprint(c.Raw) == name {
			return certificateItem(c), true
		}
	}
	return item{}, false
}
