package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/identity/acme"
	"github.com/pergola-mesh/pergola/proxy/snapshot"
	"github.com/pergola-mesh/pergola/telemetry"
)

// openACME makes the certificate resolvers, if there are any.
func (k *core) openACME(c *static.Configuration, logger *slog.Logger) (err error) {
	if len(c.CertificatesResolvers) == 0 {
		return nil
	}
	k.acme, err = acme.New(acme.Options{
		Resolvers: c.CertificatesResolvers,
		Publish:   k.identity.SetDynamic,
		Ordered:   k.metrics.CertificateOrdered,
		Logger:    logger,
	})
	if err != nil {
		return err
	}
	k.identity.SetChallenge(k.acme.Challenge)
	k.metrics.SetResolvers(k.resolverStates)
	return nil
}

// wildcardResolvers are the certificate resolvers that can prove wildcards. RFC 8555 §7.1.3.
func wildcardResolvers(c *static.Configuration) (names []string) {
	for name, r := range c.CertificatesResolvers {
		if r.ACME != nil && r.ACME.DNSChallenge != nil {
			names = append(names, name)
		}
	}
	return names
}

// want tells the certificate resolvers what a snapshot has them obtain.
func (k *core) want(s *snapshot.Snapshot) {
	if k.acme != nil {
		k.acme.Want(s.Wanted(), s.Certificates())
	}
}

// resolverStates is how the resolvers fare, for the metrics.
func (k *core) resolverStates() (states []telemetry.ResolverState) {
	for _, s := range k.acme.Statuses() {
		states = append(states, telemetry.ResolverState{Resolver: s.Resolver, Served: s.Served, Missing: s.Missing, Failing: s.Failing})
	}
	return states
}

// stopTime is how long orders that are under way may take to be given up at shutdown.
const stopTime = 5 * time.Second

// stopACME ends the certificate resolvers.
func (k *core) stopACME(ctx context.Context) {
	if k.acme == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	k.acme.Stop(ctx)
}
