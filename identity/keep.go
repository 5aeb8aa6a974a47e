package identity

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/pergola-mesh/pergola/internal/alarm"
)

// KeepOptions are what Keep works with.
type KeepOptions struct {
	// Staple has OCSP answers shown with every certificate that names a responder, not with those alone
	// that are no good without one.
	Staple bool
	// Overrides are responders to ask, by the one that certificates name.
	Overrides map[string]string
	// Client asks them; nil stands for http.DefaultClient.
	Client *http.Client
	Logger *slog.Logger
}

// keeper looks after the certificates in force.
type keeper struct {
	KeepOptions
	store   *Store
	answers map[[sha256.Size]byte]*answer
	told    map[[sha256.Size]byte]time.Time // when it was last said that a certificate ends
}

// tellAgain is how often a certificate is spoken of that ends soon.
const tellAgain = 24 * time.Hour

// Keep keeps the certificates in force fit to be shown until ctx ends: it fetches OCSP answers, each again
// at half its life, and speaks of certificates that end soon. No handshake waits for it. It is called once.
func (s *Store) Keep(ctx context.Context, o KeepOptions) {
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	k := &keeper{o, s, map[[sha256.Size]byte]*answer{}, map[[sha256.Size]byte]time.Time{}}
	again := alarm.New(0, 0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.changes():
		case <-again.C:
		}
		again.Set(time.Until(k.look(ctx)), 0)
	}
}

// changes tells when the catalogue has changed.
func (s *Store) changes() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{}, 1)
	}
	return s.changed
}

// look looks at every certificate and returns when to look again. Answers are shown as they come: none waits
// for another responder's.
func (k *keeper) look(ctx context.Context) (next time.Time) {
	all := k.store.catalogue().all()
	alike := make(map[[sha256.Size]byte][]*Certificate, len(all)) // the same certificate may be there twice
	var order [][sha256.Size]byte
	for _, c := range all {
		id := sha256.Sum256(c.leaf.Raw)
		if alike[id] == nil {
			order = append(order, id)
		}
		alike[id] = append(alike[id], c)
	}
	k.forget(alike)
	show := func(a *answer, list []*Certificate) {
		for _, c := range list {
			c.staple(a.staple)
		}
	}
	for id, a := range k.answers {
		a.expire()
		show(a, alike[id])
	}
	var asking sync.WaitGroup
	places := make(chan struct{}, askAtOnce)
	for _, id := range order {
		c := alike[id][0]
		k.warn(id, c)
		if a, server := k.due(id, c); a != nil {
			places <- struct{}{}
			asking.Go(func() {
				k.renew(ctx, a, server, c)
				show(a, alike[id])
				<-places
			})
		}
	}
	asking.Wait()
	next = time.Now().Add(latest)
	for _, a := range k.answers {
		if a.next.Before(next) {
			next = a.next
		}
	}
	return next
}

// forget drops what is known of certificates that are not there any more.
func (k *keeper) forget(present map[[sha256.Size]byte][]*Certificate) {
	for id := range k.answers {
		if present[id] == nil {
			delete(k.answers, id)
		}
	}
	for id := range k.told {
		if present[id] == nil {
			delete(k.told, id)
		}
	}
}

// askAtOnce bounds the questions that are open at a time.
const askAtOnce = 8

// due returns a certificate's OCSP answer when it is time to ask for another, and whom.
func (k *keeper) due(id [sha256.Size]byte, c *Certificate) (a *answer, server string) {
	server = ocspServer(c.leaf, k.Overrides)
	if server == "" || !k.Staple && !c.mustStaple || !time.Now().Before(c.leaf.NotAfter) {
		delete(k.answers, id)
		return nil, ""
	}
	if a = k.answers[id]; a == nil {
		a = &answer{}
		k.answers[id] = a
	}
	if a.next.After(time.Now()) {
		return nil, ""
	}
	return a, server
}

// renew asks a responder.
func (k *keeper) renew(ctx context.Context, a *answer, server string, c *Certificate) {
	log := k.Logger.With("certificate", c.leaf.Subject.CommonName, "names", c.names, "responder", server)
	issuer := c.issuer()
	if issuer == nil {
		a.next = time.Now().Add(latest)
		log.Warn("No OCSP answer can be had for a certificate: its file lacks the issuer's certificate")
		return
	}
	said, staple, err := ask(ctx, k.Client, server, c.leaf, issuer)
	if err != nil {
		a.fail()
		level := slog.LevelWarn
		if c.mustStaple && a.staple == nil {
			level = slog.LevelError // clients refuse it
		}
		if a.staple != nil {
			log = log.With("shownUntil", a.until)
		}
		log.Log(ctx, level, "No OCSP answer for a certificate", "error", err, "next", a.next)
		return
	}
	if a.take(said, staple); said.Status == ocsp.Revoked {
		log.Error("A certificate has been revoked", "at", said.RevokedAt)
	}
}

// warn speaks of a certificate that has ended or soon will.
func (k *keeper) warn(id [sha256.Size]byte, c *Certificate) {
	now := time.Now()
	left := c.leaf.NotAfter.Sub(now)
	if now.Before(EndsSoon(c.leaf)) {
		return
	}
	if told, ok := k.told[id]; ok && now.Sub(told) < tellAgain {
		return
	}
	k.told[id] = now
	log := k.Logger.With("certificate", c.leaf.Subject.CommonName, "names", c.names, "notAfter", c.leaf.NotAfter)
	if left <= 0 {
		log.Error("A certificate has expired")
	} else {
		log.Warn("A certificate expires soon", "left", left.Round(time.Minute))
	}
}
