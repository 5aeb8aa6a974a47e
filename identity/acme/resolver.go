package acme

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/identity/acme/storage"
	"github.com/pergola-mesh/pergola/internal/alarm"
)

// How often a resolver looks whether its storage has changed: now and then, and often while another
// gateway orders what it waits for.
const (
	lookPeriod  = time.Minute
	sharePeriod = 5 * time.Second
	waitPeriod  = time.Second
)

// resolver keeps the certificates of one resolver. Its goroutine alone touches what has no mutex above it.
type resolver struct {
	name      string
	config    settings
	storage   storage.Storage
	authority authority
	publish   func([]*certificate)
	observe   func(err error) // told of each order
	logger    *slog.Logger

	changed chan struct{} // holds one when there is something to look at
	retry   atomic.Bool   // failures are to be forgotten

	revision string
	data     storage.Data
	parsed   map[*storage.Certificate]*certificate
	unsaved  []*storage.Certificate // obtained, and not in the storage yet
	opened   *storage.Account       // an account that is not in the storage yet; nil for none
	windows  map[*certificate]window
	served   []*certificate
	troubled int // how often in a row the storage has failed

	mu     sync.Mutex
	wants  wants
	status Status
}

// wants are what a resolver is to have certificates for. They are not written to once made.
type wants struct {
	sets [][]string
	// have is what configured certificates cover; names in always are wanted all the same.
	have   cover
	always map[string]bool
}

// settings are what of a resolver's configuration its goroutine needs.
type settings struct {
	caServer  string
	lifetime  time.Duration
	wildcards bool
}

// Status is how a resolver fares.
type Status struct {
	Resolver string
	// Wanted counts the sets of names, Served the certificates in use, Missing the names without any.
	Wanted, Served, Missing int
	// Failing counts the sets of names that could not be ordered, the last time.
	Failing int
	// Error is the last thing that went wrong; empty when nothing has since the last success.
	Error string
}

// want sets what certificates are wanted for.
func (r *resolver) want(w wants) {
	r.mu.Lock()
	same := slices.EqualFunc(w.sets, r.wants.sets, slices.Equal) && maps.Equal(w.always, r.wants.always) &&
		maps.EqualFunc(w.have, r.wants.have, slices.Equal)
	r.wants = w
	r.mu.Unlock()
	if !same {
		r.wake()
	}
}

// tryAgain has what failed tried again at once.
func (r *resolver) tryAgain() {
	r.retry.Store(true)
	r.wake()
}

func (r *resolver) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *resolver) wanted() wants {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wants
}

// run keeps certificates until ctx ends.
func (r *resolver) run(ctx context.Context) {
	again := alarm.New(0, 0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.changed:
		case <-again.C:
		}
		again.Set(r.turn(ctx), 0)
	}
}

// turn does what is due, and returns when to look again.
func (r *resolver) turn(ctx context.Context) time.Duration {
	if err := r.refresh(ctx); err != nil {
		return r.trouble(err)
	}
	p := r.plan()
	r.show(p)
	if len(r.data.Failures) == 0 {
		r.retry.Store(false) // nothing has failed
	}
	if len(p.jobs) == 0 && len(r.unsaved) == 0 && r.opened == nil && !r.askWindows(p) && !r.retry.Load() {
		return r.pause(p)
	}
	lease, err := r.storage.Acquire(ctx, r.name)
	if errors.Is(err, storage.ErrHeld) {
		return waitPeriod
	} else if err != nil {
		return r.trouble(err)
	}
	defer lease.Release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(lease.Context(), func() { cancel(context.Cause(lease.Context())) })()
	return r.work(ctx, lease)
}

// work orders, one certificate after the other, until nothing is due.
func (r *resolver) work(ctx context.Context, lease storage.Lease) time.Duration {
	for {
		// What was due may have been done by whoever had the lease before.
		if err := r.refresh(ctx); err != nil {
			return r.trouble(err)
		}
		if err := r.saveLate(ctx, lease); err != nil {
			return r.trouble(err)
		}
		if err := r.forgive(ctx, lease); err != nil {
			return r.trouble(err)
		}
		p := r.plan()
		if r.askWindows(p) && r.data.Account != nil {
			r.window(ctx, p)
			p = r.plan()
		}
		r.show(p)
		if len(p.jobs) == 0 || ctx.Err() != nil {
			return r.pause(p)
		}
		if err := r.order(ctx, lease, p.jobs[0]); err != nil {
			return r.trouble(err)
		}
	}
}

// refresh brings the data up to what the storage has.
func (r *resolver) refresh(ctx context.Context) error {
	data, revision, err := r.storage.Load(ctx, r.name, r.revision)
	if err != nil {
		return err
	}
	if data == nil {
		return nil
	}
	r.revision, r.data = revision, *data
	if r.opened != nil {
		r.data.Account = r.opened
	}
	r.parse()
	return nil
}

// parse reads the certificates that are new in the data.
func (r *resolver) parse() {
	before := map[string]*certificate{}
	for _, c := range r.parsed {
		before[string(c.stored.Certificate)] = c
	}
	r.parsed = map[*storage.Certificate]*certificate{}
	for _, stored := range slices.Concat(r.data.Certificates, r.unsaved) {
		if c := before[string(stored.Certificate)]; c != nil {
			r.parsed[stored] = c
			continue
		}
		c, err := parse(stored)
		if err != nil {
			r.logger.Error("stored certificate is of no use", "error", err)
			continue
		}
		r.parsed[stored] = c
	}
	windows := map[*certificate]window{}
	for _, c := range r.parsed {
		if w, ok := r.windows[c]; ok {
			windows[c] = w
		}
	}
	r.windows = windows
}

func (r *resolver) plan() *plan {
	w := r.wanted()
	s := &state{sets: w.sets, have: w.have, always: w.always, failures: r.data.Failures, caServer: r.config.caServer, lifetime: r.config.lifetime, windows: r.windows}
	for _, stored := range slices.Concat(r.data.Certificates, r.unsaved) {
		if c := r.parsed[stored]; c != nil {
			s.certificates = append(s.certificates, c)
		}
	}
	return newPlan(s, time.Now())
}

// show serves the certificates of a plan and tells how the resolver fares.
func (r *resolver) show(p *plan) {
	if r.served == nil || !slices.Equal(r.served, p.use) {
		r.served = append([]*certificate{}, p.use...)
		r.publish(r.served)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.status
	s.Wanted, s.Served, s.Missing, s.Failing = len(r.wants.sets), len(p.use), p.missing, len(r.data.Failures)
	if len(r.data.Failures) == 0 && r.troubled == 0 {
		s.Error = ""
	}
}

// pause is how long nothing is to be done, all that was due being done: so the storage works, for writing too
// if that was needed.
func (r *resolver) pause(p *plan) time.Duration {
	if r.troubled > 0 {
		r.logger.Info("certificate storage works again")
		r.troubled = 0
		r.show(p)
	}
	pause := lookPeriod
	if r.storage.Shared() {
		pause = sharePeriod
	}
	if !p.next.IsZero() {
		pause = min(pause, max(time.Until(p.next), waitPeriod))
	}
	return pause
}

// trouble notes that the storage failed. What is in memory is served on.
func (r *resolver) trouble(err error) time.Duration {
	if errors.Is(err, context.Canceled) && !errors.Is(err, storage.ErrLost) {
		return waitPeriod // it is over
	}
	pause := min(time.Minute, waitPeriod<<min(r.troubled, 6))
	if r.troubled++; r.troubled == 1 {
		r.logger.Error("certificate storage failed: what is in memory is served on, and nothing is ordered", "error", err)
	} else {
		r.logger.Debug("certificate storage failed again", "error", err, "pause", pause)
	}
	r.failed(err)
	return pause
}

func (r *resolver) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Error = err.Error()
}
