package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Config makes a configuration for crypto/tls to dial servers with. It never falls back to less: what
// cannot be read is an error. The caller sets ServerName from the server's URL when it is empty, and
// NextProtos.
func (t *TLS) Config() (*tls.Config, error) {
	c := &tls.Config{
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify,
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	var err error
	if t.MinVersion != "" {
		if c.MinVersion, err = version(t.MinVersion); err != nil {
			return nil, fmt.Errorf("minVersion: %w", err)
		}
	}
	if t.MaxVersion != "" {
		if c.MaxVersion, err = version(t.MaxVersion); err != nil {
			return nil, fmt.Errorf("maxVersion: %w", err)
		}
		if c.MaxVersion < c.MinVersion {
			return nil, fmt.Errorf("maxVersion %s is below minVersion %s", t.MaxVersion, tls.VersionName(c.MinVersion))
		}
	}
	if c.CipherSuites, err = suites(t.CipherSuites); err != nil {
		return nil, err
	}
	for i, ca := range t.RootCAs {
		if c.RootCAs == nil {
			c.RootCAs = x509.NewCertPool()
		}
		if !c.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, fmt.Errorf("rootCAs: entry %d holds no certificate in PEM", i+1)
		}
	}
	for i, pair := range t.Certificates {
		certificate, err := tls.X509KeyPair([]byte(pair.Certificate), []byte(pair.Key))
		if err != nil {
			return nil, fmt.Errorf("certificates: entry %d: %w", i+1, err)
		}
		c.Certificates = append(c.Certificates, certificate)
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

var versions = map[string]uint16{
	"VersionTLS10": tls.VersionTLS10, "VersionTLS11": tls.VersionTLS11,
	"VersionTLS12": tls.VersionTLS12, "VersionTLS13": tls.VersionTLS13,
}

func version(name string) (uint16, error) {
	if v, ok := versions[name]; ok {
		return v, nil
	}
	return 0, fmt.Errorf("%q is not a version: use VersionTLS10, VersionTLS11, VersionTLS12 or VersionTLS13", name)
}

func suites(names []string) (ids []uint16, err error) {
	known := append(tls.CipherSuites(), tls.InsecureCipherSuites()...)
	for _, name := range names {
		i := slices.IndexFunc(known, func(s *tls.CipherSuite) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("cipherSuites: %q is not a suite crypto/tls knows", name)
		}
		ids = append(ids, known[i].ID)
	}
	return ids, nil
}
