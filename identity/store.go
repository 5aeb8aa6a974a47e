package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// Store is the certificates that the gateway has, whichever configuration is in force, and what else of
// TLS outlives a configuration. The zero value is ready. It is safe for concurrent use.
type Store struct {
	tickets   tickets
	challenge atomic.Pointer[Challenge]
	current   atomic.Pointer[catalogue]

	mu         sync.Mutex
	configured *Configured
	dynamic    map[string][]*Certificate // by resolver
	generated  *Certificate
	changed    chan struct{} // nil unless somebody wants to know
}

// Configured is what a configuration says of certificates. It is immutable.
type Configured struct {
	Certificates []*Certificate
	// Default is shown to clients that ask for no name, or for one that no certificate covers. When it
	// is nil, DefaultFor names one that a resolver obtains; else one is generated.
	Default    *Certificate
	DefaultFor Wanted
}

// Wanted is a certificate that a resolver should obtain, for the names in Domains: the main one first.
type Wanted struct {
	Resolver string
	Domains  []string
	// Router is who asks for it, by qualified name; empty for the default certificate.
	Router string
}

// Challenge answers the handshake of an ACME authority that verifies a name (RFC 8737 §3). It returns nil
// when it knows nothing of the name.
type Challenge func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// catalogue is all certificates at one moment. It is immutable.
type catalogue struct {
	set      *set
	fallback *Certificate
	extra    []*Certificate          // in use and not in the set
	resolver map[*Certificate]string // who obtained it; none for those of the configuration
}

// Held is a certificate in force.
type Held struct {
	Leaf *x509.Certificate
	// Resolver is the certificate resolver that obtained it; empty for one of the configuration.
	Resolver string
}

// SetChallenge sets what answers ACME's authorities.
func (s *Store) SetChallenge(c Challenge) { s.challenge.Store(&c) }

// SetDynamic replaces all certificates of a resolver.
func (s *Store) SetDynamic(resolver string, certificates []*Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dynamic == nil {
		s.dynamic = map[string][]*Certificate{}
	}
	s.dynamic[resolver] = slices.Clone(certificates)
	s.update()
}

// Use puts a configuration's certificates in force. The same one again costs nothing.
func (s *Store) Use(c *Configured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c != s.configured {
		s.configured = c
		s.update()
	}
}

// update makes the catalogue. s.mu is held.
func (s *Store) update() {
	c := s.configured
	if c == nil {
		c = &Configured{}
	}
	next := &catalogue{resolver: map[*Certificate]string{}}
	all := slices.Clone(c.Certificates)
	for _, resolver := range slices.Sorted(maps.Keys(s.dynamic)) {
		all = append(all, s.dynamic[resolver]...)
		for _, obtained := range s.dynamic[resolver] {
			next.resolver[obtained] = resolver
		}
	}
	next.set = newSet(all)
	switch next.fallback = c.Default; {
	case c.Default != nil:
		if !slices.Contains(all, c.Default) {
			next.extra = []*Certificate{c.Default}
		}
	case len(c.DefaultFor.Domains) > 0:
		for _, obtained := range s.dynamic[c.DefaultFor.Resolver] {
			if next.fallback == nil && !slices.ContainsFunc(c.DefaultFor.Domains, func(d string) bool { return !obtained.Covers(d) }) {
				next.fallback = obtained
			}
		}
	}
	if next.fallback == nil {
		if s.generated == nil {
			s.generated = generate()
		}
		next.fallback = s.generated
	}
	s.current.Store(next)
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// all are the certificates that are not the generated one.
func (c *catalogue) all() []*Certificate { return append(slices.Clip(c.set.all), c.extra...) }

// catalogue returns the certificates in force.
func (s *Store) catalogue() *catalogue {
	if c := s.current.Load(); c != nil {
		return c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.Load() == nil {
		s.update()
	}
	return s.current.Load()
}

// Certificates are the certificates in force: all but the generated one.
func (s *Store) Certificates() []Held {
	now, all := s.catalogue(), []Held{}
	for _, c := range now.all() {
		all = append(all, Held{c.leaf, now.resolver[c]})
	}
	return all
}

// Config returns a configuration for handshakes at an entry point, as edge says at each. They offer
// protocols; none stands for those of the policy.
func (s *Store) Config(edge func() *Edge, protocols ...string) *tls.Config {
	return &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return s.configFor(edge(), hello, protocols), nil
		},
		MinVersion:             tls.VersionTLS12,
		SessionTicketsDisabled: true, // those of the policies count
	}
}

// refused makes a handshake fail with the alert unrecognized_name: it has no certificate to show.
var refused = &tls.Config{MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true}

// configFor chooses the policy of a handshake.
func (s *Store) configFor(edge *Edge, hello *tls.ClientHelloInfo, protocols []string) *tls.Config {
	session := sessionOf(hello)
	refuse := func(err error) *tls.Config {
		session.err = err
		return refused
	}
	if slices.Equal(hello.SupportedProtos, []string{acmeALPN}) {
		return s.answerChallenge(hello, refuse)
	}
	name, ok := Normalize(hello.ServerName)
	if !ok {
		return refuse(fmt.Errorf("server name %q is no host name", hello.ServerName))
	}
	p, named := edge.policy(name)
	if p.err != nil {
		return refuse(p.err)
	}
	if reason := s.unknown(p, edge, hello, name, named); reason != nil {
		return refuse(reason)
	}
	session.name, session.policy = name, p
	if edge.Relayed {
		protocols = p.relayed(hello.SupportedProtos)
	}
	return p.config(protocols)
}

// unknown tells why the name that a client asks for is none of ours.
func (s *Store) unknown(p *Policy, edge *Edge, hello *tls.ClientHelloInfo, name string, named bool) error {
	if p.strict == lenient || p.strict == routed && (named || edge.Open || name == "") {
		return nil
	}
	if s.catalogue().set.covers(address(name, hello)) {
		return nil
	}
	if name == "" {
		return errors.New("the client asks for no server name")
	}
	if p.strict == strict {
		return fmt.Errorf("no certificate is for the server name %q, and sniStrict asks for one", name)
	}
	return fmt.Errorf("no certificate is for the server name %q, and no router", name)
}

// answerChallenge shows an authority the certificate it looks for.
func (s *Store) answerChallenge(hello *tls.ClientHelloInfo, refuse func(error) *tls.Config) *tls.Config {
	var c *tls.Certificate
	var err error
	if answer := s.challenge.Load(); answer != nil {
		c, err = (*answer)(hello)
	}
	if err == nil && c == nil {
		err = errors.New("no challenge is open for it")
	}
	if err != nil {
		return refuse(fmt.Errorf("ACME challenge for %q: %w", hello.ServerName, err))
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{*c}, NextProtos: []string{acmeALPN}}
}

// certificate is tls.Config.GetCertificate.
func (p *Policy) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name, _ := Normalize(hello.ServerName)
	all := p.store.catalogue()
	if c := all.set.find(address(name, hello), hello); c != nil {
		return c.ready.Load(), nil
	}
	if p.strict == strict {
		return nil, nil
	}
	return all.fallback.ready.Load(), nil
}

// address is the name, or the address that a client connected to when it asks for none.
func address(name string, hello *tls.ClientHelloInfo) string {
	if name != "" || hello.Conn == nil {
		return name
	}
	host, _, err := net.SplitHostPort(hello.Conn.LocalAddr().String())
	if err != nil {
		return ""
	}
	return host
}
