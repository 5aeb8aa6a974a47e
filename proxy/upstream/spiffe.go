package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// SPIFFE has servers known to the gateway, and the gateway to servers, by SPIFFE identities alone: neither
// names nor the system's authorities count.
type SPIFFE struct {
	// IDs are those of which a server must have one. None stands for all of TrustDomain; that empty too,
	// for all of every trust domain whose authorities Source knows.
	IDs         []string
	TrustDomain string
	// Epoch is that of Source for which connections are kept: with another, new ones are made.
	Epoch uint64
	// Source has the gateway's identity and the authorities, as of each handshake.
	Source SPIFFESource `json:"-"`
}

// SPIFFESource is the gateway's own identity, and the authorities of trust domains, of the moment. Their
// errors are those of handshakes.
type SPIFFESource interface {
	x509svid.Source
	x509bundle.Source
}

// configure has c authenticate both sides. No session is resumed: it would go on under an identity that may
// have been replaced.
func (s *SPIFFE) configure(c *tls.Config) error {
	admit, err := s.authorizer()
	if err != nil {
		return err
	}
	c.ClientSessionCache = nil
	tlsconfig.HookMTLSClientConfig(c, s.Source, s.Source, admit)
	return nil
}

// authorizer judges identities that have been verified.
func (s *SPIFFE) authorizer() (tlsconfig.Authorizer, error) {
	if len(s.IDs) > 0 {
		ids := make([]spiffeid.ID, len(s.IDs))
		for i, text := range s.IDs {
			var err error
			if ids[i], err = spiffeid.FromString(text); err != nil {
				return nil, fmt.Errorf("ids[%d]: %q is no SPIFFE ID, such as spiffe://example.org/api: %w", i, text, err)
			}
		}
		return func(id spiffeid.ID, _ [][]*x509.Certificate) error {
			if !slices.Contains(ids, id) {
				return fmt.Errorf("the server is %s, and none of %s", id, strings.Join(s.IDs, ", "))
			}
			return nil
		}, nil
	}
	if s.TrustDomain == "" {
		return tlsconfig.AuthorizeAny(), nil
	}
	domain, err := spiffeid.TrustDomainFromString(s.TrustDomain)
	if err != nil {
		return nil, fmt.Errorf("trustDomain: %q is no trust domain, such as example.org: %w", s.TrustDomain, err)
	}
	return func(id spiffeid.ID, _ [][]*x509.Certificate) error {
		if !id.MemberOf(domain) {
			return fmt.Errorf("the server is %s, and not of the trust domain %s", id, domain)
		}
		return nil
	}, nil
}
