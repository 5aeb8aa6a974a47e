package acme

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/identity/acme/storage"
	"github.com/pergola-mesh/pergola/internal/certtest"
)

// fakeAuthority issues certificates at once, from the bubble's clock.
type fakeAuthority struct {
	life   time.Duration
	fail   func(names []string) error
	window func(leaf *x509.Certificate) (window, error)
	took   time.Duration // how long an order takes
	// registering is called before an account is opened; it may be nil.
	registering func()

	mu       sync.Mutex
	orders   [][]string
	at       []time.Time
	replaced []bool
	accounts int
	busy     int
	most     int // orders at a time
}

func (f *fakeAuthority) Register(_ context.Context, account *storage.Account) (*storage.Account, error) {
	if account != nil && account.Registration != nil {
		return account, nil
	}
	if f.registering != nil {
		f.registering()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accounts++
	return &storage.Account{Registration: &storage.Registration{URI: "https://ca/account"}}, nil
}

func (f *fakeAuthority) Obtain(ctx context.Context, _ *storage.Account, names []string, replaces *x509.Certificate) (*storage.Certificate, error) {
	f.mu.Lock()
	f.orders, f.at, f.replaced = append(f.orders, names), append(f.at, time.Now()), append(f.replaced, replaces != nil)
	f.busy++
	f.most = max(f.most, f.busy)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.busy--
		f.mu.Unlock()
	}()
	if f.took > 0 {
		select {
		case <-time.After(f.took):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if f.fail != nil {
		if err := f.fail(names); err != nil {
			return nil, err
		}
	}
	return issue(names, f.life, "https://ca/dir"), nil
}

func (f *fakeAuthority) Window(_ context.Context, _ *storage.Account, leaf *x509.Certificate) (window, error) {
	if f.window == nil {
		return window{}, errNoWindow
	}
	return f.window(leaf)
}

func (f *fakeAuthority) ordered() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, names := range f.orders {
		all = append(all, strings.Join(names, "+"))
	}
	return all
}

// issue makes a certificate that lives from now on.
func issue(names []string, life time.Duration, caServer string) *storage.Certificate {
	chain, key := certtest.PEM(certtest.SelfSigned(names, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now(), time.Now().Add(life)
	}))
	return newStored(names, chain, key, caServer)
}

// fakeStorage keeps data in memory. Any number of resolvers may share it.
type fakeStorage struct {
	mu       sync.Mutex
	data     storage.Data
	revision int
	held     bool
	failing  error
	readable bool // all the same
	saves    int
	shared   bool
}

func (f *fakeStorage) Load(_ context.Context, _, known string) (*storage.Data, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	revision := time.Duration(f.revision).String()
	if f.failing != nil && !f.readable {
		return nil, "", f.failing
	}
	if revision == known {
		return nil, revision, nil
	}
	d := storage.Data{Account: f.data.Account, Failures: map[string]storage.Failure{}}
	d.Certificates = append(d.Certificates, f.data.Certificates...)
	for id, failure := range f.data.Failures {
		d.Failures[id] = failure
	}
	return &d, revision, nil
}

func (f *fakeStorage) Acquire(context.Context, string) (storage.Lease, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.failing != nil:
		return nil, f.failing
	case f.held:
		return nil, storage.ErrHeld
	}
	f.held = true
	l := &fakeLease{storage: f}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l, nil
}

func (f *fakeStorage) set(failing error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing = failing
}

func (f *fakeStorage) names() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.data.Certificates {
		all = append(all, c.ID())
	}
	return all
}

func (f *fakeStorage) failures() map[string]storage.Failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.data.Failures)
}

func (f *fakeStorage) Present(context.Context, storage.Challenge) error { return nil }
func (f *fakeStorage) Find(context.Context, string, string) (storage.Challenge, bool, error) {
	return storage.Challenge{}, false, errors.New("not asked in these tests")
}
func (f *fakeStorage) Withdraw(context.Context, storage.Challenge) error { return nil }
func (f *fakeStorage) Shared() bool                                      { return f.shared }
func (f *fakeStorage) Close() error                                      { return nil }

type fakeLease struct {
	storage *fakeStorage
	ctx     context.Context
	cancel  context.CancelCauseFunc
}

func (l *fakeLease) Context() context.Context { return l.ctx }
func (l *fakeLease) Save(_ context.Context, c storage.Change) error {
	l.storage.mu.Lock()
	defer l.storage.mu.Unlock()
	if l.ctx.Err() != nil {
		return storage.ErrLost
	}
	if l.storage.failing != nil {
		return l.storage.failing
	}
	c.Apply(&l.storage.data)
	l.storage.revision++
	l.storage.saves++
	return nil
}
func (l *fakeLease) Release() {
	l.cancel(storage.ErrLost)
	l.storage.mu.Lock()
	defer l.storage.mu.Unlock()
	l.storage.held = false
}

// subject is a resolver under test, at work.
type subject struct {
	*resolver
	mu     sync.Mutex
	served []string // names of the certificates in use
	log    bytes.Buffer
}

// newSubject starts a resolver that ends with the test. It is for a bubble.
func newSubject(t *testing.T, ca authority, s storage.Storage, sets ...[]string) *subject {
	t.Helper()
	u := &subject{}
	u.resolver = &resolver{
		name: "le", storage: s, authority: ca, changed: make(chan struct{}, 1), observe: func(error) {},
		config: settings{caServer: "https://ca/dir", lifetime: 90 * 24 * time.Hour},
		logger: slog.New(slog.NewTextHandler(&u.log, nil)),
		publish: func(all []*certificate) {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.served = nil
			for _, c := range all {
				u.served = append(u.served, c.stored.ID())
			}
		},
	}
	u.want(wants{sets: sets})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { u.run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return u
}

func (u *subject) serves() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return strings.Join(u.served, " ")
}
