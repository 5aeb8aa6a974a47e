// Package spiffe keeps the gateway's SPIFFE identity and the authorities by which others are known, as the
// Workload API of an agent on this machine gives them, and renews both for as long as the gateway runs.
//
// It speaks to the agent with net/http and not by the client of go-spiffe, which would bring all of gRPC into
// the program; what is security in it, identities, chains and their verification, is go-spiffe's. See
// docs/decisions/workload-api.md.
package spiffe

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Options are what a Source works with.
type Options struct {
	// Network is "unix" or "tcp", Address the socket's path or an address and port.
	Network, Address string
	Logger           *slog.Logger
}

// Source is the gateway's identity, and the authorities that it trusts, of the moment. It is safe for
// concurrent use. Until Run it has none.
type Source struct {
	options Options
	current atomic.Pointer[state]
	ready   chan struct{} // closed with the first identity
	first   sync.Once
	changed chan struct{} // holds one signal when the epoch has changed
	// longest is how long the agent is left alone at most.
	longest time.Duration
}

// state is what is known at one moment. It does not change.
type state struct {
	*material // nil for none
	epoch     uint64
	err       error // why there is none, or none newer; nil while the agent is heard
}

// material is one answer of the agent.
type material struct {
	svid    *x509svid.SVID
	bundles *x509bundle.Set
}

// New makes a source that knows nothing yet.
func New(o Options) *Source {
	s := &Source{options: o, ready: make(chan struct{}), changed: make(chan struct{}, 1), longest: longPause}
	s.current.Store(&state{err: errors.New("it has not been asked yet")})
	return s
}

// Ready is closed once there is an identity.
func (s *Source) Ready() <-chan struct{} { return s.ready }

// Changed yields when Epoch has changed since it last yielded.
func (s *Source) Changed() <-chan struct{} { return s.changed }

// Epoch changes when connections made before are not to be used for anything new: the gateway's own
// certificate is another, or an authority is trusted no more.
func (s *Source) Epoch() uint64 { return s.current.Load().epoch }

// Certificate is the gateway's own, also when it has ended; nil when there is none.
func (s *Source) Certificate() *x509.Certificate {
	if now := s.current.Load(); now.material != nil {
		return now.svid.Certificates[0]
	}
	return nil
}

// GetX509SVID returns the gateway's certificate chain and key. It fails when there is none, or it has ended.
func (s *Source) GetX509SVID() (*x509svid.SVID, error) {
	now, err := s.usable()
	if err != nil {
		return nil, err
	}
	return now.svid, nil
}

// GetX509BundleForTrustDomain returns the authorities of a trust domain. It fails when none are known, and
// when the gateway has no identity itself.
func (s *Source) GetX509BundleForTrustDomain(domain spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	now, err := s.usable()
	if err != nil {
		return nil, err
	}
	bundle, ok := now.bundles.Get(domain)
	if !ok {
		return nil, fmt.Errorf("no authority of the trust domain %s is known: the entry of %s in the SPIFFE server has to federate with it", domain, now.svid.ID)
	}
	return bundle, nil
}

// usable is the state, if it has an identity that has not ended.
func (s *Source) usable() (*state, error) {
	now := s.current.Load()
	if now.material == nil {
		return nil, fmt.Errorf("no SPIFFE identity from %s: %w; %s", s.place(), now.err, remedy)
	}
	if end := now.svid.Certificates[0].NotAfter; !time.Now().Before(end) {
		why := now.err
		if why == nil {
			why = errors.New("the agent has sent no other")
		}
		return nil, fmt.Errorf("the SPIFFE identity %s has ended at %s: %w; %s", now.svid.ID, end.UTC().Format(time.RFC3339), why, remedy)
	}
	return now, nil
}

// remedy is what to do when there is no identity.
const remedy = "see that the SPIFFE agent runs, reaches its server, and has an entry that matches this process"

// place is where the agent is asked, as spiffe.workloadAPIAddr has it.
func (s *Source) place() string { return s.options.Network + "://" + s.options.Address }

// use puts an answer of the agent in force.
func (s *Source) use(m *material) {
	before := s.current.Load()
	epoch := before.epoch
	renewed := before.material == nil || m.supersedes(before.material)
	if renewed {
		epoch++
	}
	s.current.Store(&state{material: m, epoch: epoch})
	if renewed {
		s.options.Logger.Info("SPIFFE identity received", "id", m.svid.ID.String(), "notAfter", m.svid.Certificates[0].NotAfter, "trustDomains", m.bundles.Len())
		s.tell()
	}
	s.first.Do(func() { close(s.ready) })
}

// forget gives the identity up.
func (s *Source) forget(why error) {
	before := s.current.Load()
	s.current.Store(&state{epoch: before.epoch + 1, err: why})
	s.tell()
}

// note keeps why nothing newer is known.
func (s *Source) note(err error) {
	now := *s.current.Load()
	now.err = err
	s.current.Store(&now)
}

func (s *Source) tell() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// supersedes reports whether connections that were made by before are not to be used for anything new.
func (m *material) supersedes(before *material) bool {
	if !m.svid.Certificates[0].Equal(before.svid.Certificates[0]) {
		return true
	}
	for _, bundle := range before.bundles.Bundles() {
		now, ok := m.bundles.Get(bundle.TrustDomain())
		if !ok {
			return true
		}
		for _, authority := range bundle.X509Authorities() {
			if !now.HasX509Authority(authority) {
				return true
			}
		}
	}
	return false
}
