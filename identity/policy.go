package identity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/internal/tlswords"
)

// Policy is how connections are made for the hosts that are bound to it: a tls.options entry, compiled.
// It is immutable and safe for concurrent use.
type Policy struct {
	name   string
	err    error // why every handshake is refused
	base   *tls.Config
	strict strictness
	store  *Store
	stated bool              // the protocols are not those that stand for none
	id     [sha256.Size]byte // of what a session ticket proves
	// configs are base with its tickets, by the protocols offered.
	configs sync.Map // string → *offer
}

// strictness is what becomes of a name that no certificate covers.
type strictness uint8

const (
	routed  strictness = iota // it must be one that a router asks for
	strict                    // it is refused
	lenient                   // it is shown the default certificate
)

// acmeALPN is the protocol of ACME's challenge. RFC 8737 §6.2.
const acmeALPN = "acme-tls/1"

// NewPolicy compiles options; authorities are the contents of their caFiles, in PEM, in order. It never
// makes less of them than was asked for: what cannot be honoured is an error.
func (s *Store) NewPolicy(name string, o *dynamic.TLSOptions, authorities [][]byte) (*Policy, error) {
	p := &Policy{name: name, store: s}
	c := &tls.Config{SessionTicketsDisabled: o.DisableSessionTickets, GetCertificate: p.certificate}
	var err error
	if c.MinVersion, c.MaxVersion, err = tlswords.Versions(o.MinVersion, o.MaxVersion); err != nil {
		return nil, err
	}
	if c.CipherSuites, err = tlswords.Suites(o.CipherSuites); err != nil {
		return nil, err
	}
	if len(c.CipherSuites) == 0 && c.MinVersion >= tls.VersionTLS12 {
		c.CipherSuites = authenticated
	}
	if c.CurvePreferences, err = tlswords.Curves(o.CurvePreferences); err != nil {
		return nil, err
	}
	if c.NextProtos, err = protocols(o.ALPNProtocols); err != nil {
		return nil, err
	}
	var unstated dynamic.TLSOptions
	unstated.SetDefaults()
	p.stated = !slices.Equal(o.ALPNProtocols, unstated.ALPNProtocols)
	if err := p.clients(c, o.ClientAuth, authorities); err != nil {
		return nil, err
	}
	if o.SNIStrict != nil && *o.SNIStrict {
		p.strict = strict
	} else if o.SNIStrict != nil {
		p.strict = lenient
	}
	p.base = c
	return p, nil
}

// authenticated are the suites of TLS 1.2 that encrypt and authenticate at once, with forward secrecy:
// those in CBC mode have been broken more than once (Lucky Thirteen). RFC 9325 §4.2.
var authenticated = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// clients sets how clients are known.
func (p *Policy) clients(c *tls.Config, auth *dynamic.ClientAuth, authorities [][]byte) (err error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00", p.name)
	if auth != nil {
		for i, text := range authorities {
			if c.ClientCAs == nil {
				c.ClientCAs = x509.NewCertPool()
			}
			if !c.ClientCAs.AppendCertsFromPEM(text) {
				return fmt.Errorf("clientAuth.caFiles[%d]: holds no certificate in PEM", i)
			}
			fmt.Fprintf(sum, "%x\x00", sha256.Sum256(text))
		}
		if c.ClientAuth, err = tlswords.ClientAuth(auth.ClientAuthType, len(authorities) > 0); err != nil {
			return err
		}
	}
	fmt.Fprintf(sum, "%d", c.ClientAuth)
	sum.Sum(p.id[:0])
	if c.ClientAuth >= tls.VerifyClientCertIfGiven {
		c.VerifyConnection = func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil
			}
			if err := plainNames(state.PeerCertificates[0]); err != nil || !state.DidResume {
				return err
			}
			return p.verify(state.PeerCertificates)
		}
	}
	return nil
}

// protocols checks those that are offered. The one of ACME is offered to those who ask for nothing else.
func protocols(names []string) ([]string, error) {
	var offered []string
	for _, name := range names {
		if name == "" || len(name) > 255 {
			return nil, errors.New("alpnProtocols: a protocol has 1 to 255 bytes")
		}
		if name != acmeALPN && !slices.Contains(offered, name) {
			offered = append(offered, name)
		}
	}
	return offered, nil
}

// Refusal is a policy under which every handshake fails, with the reason in Session.Err.
func Refusal(name string, err error) *Policy { return &Policy{name: name, err: err} }

// Refuses reports whether p is a Refusal.
func (p *Policy) Refuses() bool { return p.err != nil }

// Name is the name of the options, such as "strict@file" or "default".
func (p *Policy) Name() string { return p.name }

// AsksClients reports whether clients are asked for certificates.
func (p *Policy) AsksClients() bool { return p.err != nil || p.base.ClientAuth != tls.NoClientCert }

// verify verifies a client's certificates, as crypto/tls does in a full handshake.
func (p *Policy) verify(chain []*x509.Certificate) error {
	o := x509.VerifyOptions{Roots: p.base.ClientCAs, CurrentTime: time.Now(), Intermediates: x509.NewCertPool(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	return err
}

// holds reports whether a connection that was made under an earlier version of the policy could have
// been made under this one.
func (p *Policy) holds(state *tls.ConnectionState) bool {
	c := p.base
	if p.err != nil || state.Version < c.MinVersion || c.MaxVersion != 0 && state.Version > c.MaxVersion {
		return false
	}
	if state.Version < tls.VersionTLS13 && len(c.CipherSuites) > 0 && !slices.Contains(c.CipherSuites, state.CipherSuite) {
		return false
	}
	switch given := len(state.PeerCertificates) > 0; {
	case !given:
		return c.ClientAuth != tls.RequireAnyClientCert && c.ClientAuth != tls.RequireAndVerifyClientCert
	case c.ClientAuth >= tls.VerifyClientCertIfGiven:
		return p.verify(state.PeerCertificates) == nil
	}
	return true
}

// postgresALPN is what clients of Postgres name since version 17, which go no further when a connection that
// began with TLS does not agree to it.
const postgresALPN = "postgresql"

// relayed are the protocols for a client of what is passed on that offers some. Those that stand for none
// are of HTTP, and must not keep away who speaks something else: Postgres is agreed to, and the rest is left
// to the two ends, as by servers that know nothing of ALPN.
func (p *Policy) relayed(offered []string) []string {
	common := func(name string) bool { return slices.Contains(p.base.NextProtos, name) }
	switch {
	case p.stated, len(offered) == 0, slices.ContainsFunc(offered, common):
		return nil
	case slices.Contains(offered, postgresALPN):
		return []string{postgresALPN}
	}
	return []string{}
}

// offer is a configuration for one list of protocols.
type offer struct {
	config *tls.Config
	once   sync.Mutex
	keys   *ticketKeys // those it has
}

// config is what a handshake is made with that offers names; nil stands for the policy's own.
func (p *Policy) config(names []string) *tls.Config {
	key := "\x00" + strings.Join(names, "\x00")
	if names == nil {
		key = ""
	}
	found, ok := p.configs.Load(key)
	if !ok {
		c := p.base.Clone()
		if names != nil {
			c.NextProtos = names
		}
		found, _ = p.configs.LoadOrStore(key, &offer{config: c})
	}
	o := found.(*offer)
	if p.base.SessionTicketsDisabled {
		return o.config
	}
	keys := p.store.tickets.current()
	o.once.Lock()
	if o.keys != keys {
		o.keys = keys
		o.config.SetSessionTicketKeys(keys.derive(p.id))
	}
	o.once.Unlock()
	return o.config
}
