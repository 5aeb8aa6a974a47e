package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/internal/pemtext"
	"github.com/pergola-mesh/pergola/internal/tlswords"
)

// Config makes a configuration for crypto/tls to dial servers with. It never falls back to less: what
// cannot be read is an error. The caller sets ServerName from the server's URL when it is empty, and
// NextProtos.
func (t *TLS) Config() (*tls.Config, error) {
	c := &tls.Config{
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify,
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	var err error
	if c.MinVersion, c.MaxVersion, err = tlswords.Versions(t.MinVersion, t.MaxVersion); err != nil {
		return nil, err
	}
	if c.CipherSuites, err = tlswords.Suites(t.CipherSuites); err != nil {
		return nil, err
	}
	for i, ca := range t.RootCAs {
		if c.RootCAs == nil {
			c.RootCAs = x509.NewCertPool()
		}
		if !c.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, fmt.Errorf("rootCAs[%d]: holds no certificate in PEM", i)
		}
	}
	for i, pair := range t.Certificates {
		certificate, err := pemtext.KeyPair([]byte(pair.Certificate), []byte(pair.Key))
		if err != nil {
			return nil, fmt.Errorf("certificates[%d]: %w", i, err)
		}
		c.Certificates = append(c.Certificates, certificate)
	}
	if t.SPIFFE != nil {
		if err := t.SPIFFE.configure(c); err != nil {
			return nil, fmt.Errorf("spiffe: %w", err)
		}
		return c, nil
	}
	if len(t.PeerURIs)+len(t.PeerDNSNames) > 0 {
		c.VerifyConnection = t.verifyPeer
	}
	return c, nil
}

// verifyPeer runs on resumed sessions too, which VerifyPeerCertificate would not.
func (t *TLS) verifyPeer(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server showed no certificate")
	}
	leaf := state.PeerCertificates[0]
	for _, uri := range leaf.URIs {
		if slices.Contains(t.PeerURIs, uri.String()) {
			return nil
		}
	}
	for _, name := range leaf.DNSNames {
		if slices.Contains(t.PeerDNSNames, name) {
			return nil
		}
	}
	return fmt.Errorf("the server's certificate carries none of %s", strings.Join(append(slices.Clone(t.PeerURIs), t.PeerDNSNames...), ", "))
}
