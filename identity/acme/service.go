package acme

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	legolog "github.com/go-acme/lego/v5/log"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/identity/acme/storage"
)

// Options are what a Service works with.
type Options struct {
	// Resolvers are the certificate resolvers by name; those without acme are passed over.
	Resolvers map[string]*static.CertificateResolver
	// Publish is told, by name, of all certificates of a resolver that are in use, whenever they change.
	// They are not to be changed.
	Publish func(resolver string, certificates []*identity.Certificate)
	// Ordered is told of each order: err is nil when it brought a certificate. It may be nil.
	Ordered func(resolver string, err error)
	Logger  *slog.Logger
}

// Service is all certificate resolvers. It is safe for concurrent use.
type Service struct {
	logger    *slog.Logger
	resolvers map[string]*resolver
	storages  map[string]storage.Storage
	answers   answers

	running sync.WaitGroup
	stop    context.CancelFunc

	mu       sync.Mutex
	problems map[string]bool // told already
}

// New makes the resolvers, and reads their storages as far as they are files: one that others may read,
// or that cannot be read, is an error, which names the key. Nothing is asked of anybody before Start.
func New(o Options) (*Service, error) {
	s := &Service{logger: o.Logger, resolvers: map[string]*resolver{}, storages: map[string]storage.Storage{}, problems: map[string]bool{}}
	s.answers.asking = make(chan struct{}, askers)
	legolog.SetDefault(slog.New(quiet{o.Logger.Handler()}))
	for _, name := range slices.Sorted(maps.Keys(o.Resolvers)) {
		c := o.Resolvers[name]
		if c == nil || c.ACME == nil {
			continue
		}
		if err := s.add(name, c.ACME, &o); err != nil {
			s.closeStorages()
			return nil, fmt.Errorf("certificatesResolvers.%s.acme.%w", name, err)
		}
	}
	return s, nil
}

func (s *Service) add(name string, c *static.ACME, o *Options) error {
	st := s.storages[c.Storage]
	if st == nil {
		var err error
		if st, err = storage.Open(c.Storage); err != nil {
			return fmt.Errorf("storage: %w", err)
		}
		s.storages[c.Storage] = st
		s.answers.storages = append(s.answers.storages, st)
	}
	ca, err := newLego(c, st)
	if err != nil {
		return err
	}
	s.resolvers[name] = &resolver{
		name: name, storage: st, authority: ca, changed: make(chan struct{}, 1),
		logger: o.Logger.With("resolver", name), status: Status{Resolver: name},
		config: settings{caServer: c.CAServer, lifetime: time.Duration(c.CertificatesDuration) * time.Hour, wildcards: c.DNSChallenge != nil},
		publish: func(certificates []*certificate) {
			ready := make([]*identity.Certificate, len(certificates))
			for i, c := range certificates {
				ready[i] = c.ready
			}
			o.Publish(name, ready)
		},
		observe: func(err error) {
			if o.Ordered != nil {
				o.Ordered(name, err)
			}
		},
	}
	return nil
}

// Want says what certificates are wanted for, and which are had without resolvers, all of it anew: what
// routers want that these cover is not ordered until they end soon. What cannot be had is logged, once for
// as long as it is asked for.
func (s *Service) Want(wanted []identity.Wanted, had []*identity.Certificate) {
	asked := map[string][]identity.Wanted{}
	have := newCover(had)
	var problems []error
	for _, w := range wanted {
		if s.resolvers[w.Resolver] == nil {
			problems = append(problems, fmt.Errorf("%s: there is no certificate resolver %q", by(w), w.Resolver))
			continue
		}
		asked[w.Resolver] = append(asked[w.Resolver], w)
	}
	for name, r := range s.resolvers {
		sets, wrong := normalWants(asked[name], r.config.wildcards)
		problems = append(problems, wrong...)
		r.want(wants{sets, have, ofDefault(asked[name])})
	}
	s.tell(problems)
}

// Retry has everything that could not be ordered tried again at once.
func (s *Service) Retry() {
	for _, r := range s.resolvers {
		r.tryAgain()
	}
}

// ofDefault are the names of the default certificate, which a resolver must have whatever else covers them.
func ofDefault(wanted []identity.Wanted) map[string]bool {
	names := map[string]bool{}
	for _, w := range wanted {
		for _, name := range w.Domains {
			if normal, err := normalName(name); err == nil && w.Router == "" {
				names[normal] = true
			}
		}
	}
	return names
}

func (s *Service) tell(problems []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := map[string]bool{}
	for _, p := range problems {
		text := p.Error()
		if now[text] = true; !s.problems[text] {
			s.logger.Error("no certificate can be obtained", "problem", text)
		}
	}
	s.problems = now
}

// Start lets the resolvers work, in the background.
func (s *Service) Start() {
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	for _, r := range s.resolvers {
		s.running.Go(func() { r.run(ctx) })
	}
}

// Stop ends what is under way. It returns when all leases are given back, or when ctx ends: an order
// that waits for DNS may take its time. Challenges are answered no more.
func (s *Service) Stop(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		if s.stop != nil {
			s.stop()
			s.running.Wait()
		}
		s.closeStorages()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (s *Service) closeStorages() {
	for _, st := range s.storages {
		if err := st.Close(); err != nil {
			s.logger.Debug("certificate storage did not close", "error", err)
		}
	}
}

// Answer returns what proves that the gateway serves host, when an authority asks for a token by
// HTTP-01. RFC 8555 §8.3.
func (s *Service) Answer(ctx context.Context, host, token string) (proof string, ok bool) {
	return s.answers.http(ctx, host, token)
}

// Challenge returns the certificate that proves that the gateway serves a name, when an authority asks
// for it by TLS-ALPN-01; nil when there is none. It is an identity.Challenge. RFC 8737 §3.
func (s *Service) Challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.answers.tls(hello.Context(), hello.ServerName), nil
}

// Statuses tell how the resolvers fare, by name in order.
func (s *Service) Statuses() []Status {
	var all []Status
	for _, name := range slices.Sorted(maps.Keys(s.resolvers)) {
		r := s.resolvers[name]
		r.mu.Lock()
		all = append(all, r.status)
		r.mu.Unlock()
	}
	return all
}

// quiet lets lego's notes through as debugging.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return q.Handler.Enabled(ctx, lowered(level))
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = lowered(r.Level)
	return q.Handler.Handle(ctx, r)
}

func lowered(level slog.Level) slog.Level {
	if level == slog.LevelInfo {
		return slog.LevelDebug
	}
	return level
}
