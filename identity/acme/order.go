package acme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pergola-mesh/pergola/identity/acme/storage"
)

// order obtains a certificate and saves it. It fails when the storage does; that the authority said no is
// noted there.
func (r *resolver) order(ctx context.Context, lease storage.Lease, j *job) error {
	log := r.logger.With("names", strings.Join(j.names, ", "))
	log.Info("ordering a certificate", "renewal", j.replaces != nil)
	start := time.Now()
	stored, err := r.obtain(ctx, lease, j)
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("order of %s: %w", j.id(), context.Cause(ctx))
	}
	r.observe(err)
	if err != nil {
		return r.postpone(ctx, lease, j, err)
	}
	log.Info("certificate obtained", "duration", time.Since(start))
	// It is served even if it cannot be saved now.
	r.unsaved = append(r.unsaved, stored)
	r.parse()
	r.show(r.plan())
	return r.saveLate(ctx, lease)
}

func (r *resolver) obtain(ctx context.Context, lease storage.Lease, j *job) (*storage.Certificate, error) {
	if err := r.account(ctx, lease); err != nil {
		return nil, err
	}
	replaced := j.leaf(r)
	stored, err := r.authority.Obtain(ctx, r.data.Account, j.names, replaced)
	if errors.Is(err, errNoAccount) {
		// The authority was set up anew, or the account was closed: the key may open another.
		account := *r.data.Account
		account.Registration = nil
		r.data.Account = &account
		if err := r.account(ctx, lease); err != nil {
			return nil, err
		}
		stored, err = r.authority.Obtain(ctx, r.data.Account, j.names, nil)
	}
	return stored, err
}

// account sees to it that there is an account with the authority.
func (r *resolver) account(ctx context.Context, lease storage.Lease) error {
	account, err := r.authority.Register(ctx, r.data.Account)
	if err != nil || account == r.data.Account {
		return err
	}
	r.logger.Info("account registered", "account", account.Registration.URI)
	r.data.Account, r.opened = account, account
	if err := r.saveLate(ctx, lease); err != nil {
		return unreachable(fmt.Errorf("the account could not be saved: %w", err))
	}
	return nil
}

// postpone notes that an order failed and when it may be tried again.
func (r *resolver) postpone(ctx context.Context, lease storage.Lease, j *job, err error) error {
	id := j.id()
	if errors.Is(err, errUnreachable) {
		id = storage.AuthorityID
	}
	f := failAgain(r.data.Failures[id], err, time.Now())
	r.logger.Error("certificate could not be obtained", "names", strings.Join(j.names, ", "), "error", err,
		"attempts", f.Count, "next", f.Until)
	r.failed(err)
	c := storage.Change{Failed: map[string]storage.Failure{id: f}}
	c.Apply(&r.data) // also when it cannot be saved
	return lease.Save(ctx, c)
}

// forgive forgets what has failed, when that was asked for: it is due at once.
func (r *resolver) forgive(ctx context.Context, lease storage.Lease) error {
	if !r.retry.Swap(false) || len(r.data.Failures) == 0 {
		return nil
	}
	c := storage.Change{Failed: map[string]storage.Failure{}}
	for id := range r.data.Failures {
		c.Failed[id] = storage.Failure{}
	}
	if err := lease.Save(ctx, c); err != nil {
		r.retry.Store(true)
		return err
	}
	c.Apply(&r.data)
	return nil
}

// saveLate saves what was obtained and is not in the storage yet, and drops there what it replaces and
// what has been expired for long.
func (r *resolver) saveLate(ctx context.Context, lease storage.Lease) error {
	if len(r.unsaved) == 0 && r.opened == nil {
		return nil
	}
	c := storage.Change{Account: r.opened, Put: r.unsaved, Failed: map[string]storage.Failure{}}
	if _, failed := r.data.Failures[storage.AuthorityID]; failed && len(r.unsaved) > 0 {
		c.Failed[storage.AuthorityID] = storage.Failure{}
	}
	for _, put := range r.unsaved {
		c.Drop = append(c.Drop, r.replaced(put)...)
		if _, failed := r.data.Failures[put.ID()]; failed {
			c.Failed[put.ID()] = storage.Failure{}
		}
	}
	if err := lease.Save(ctx, c); err != nil {
		return err
	}
	c.Apply(&r.data)
	r.unsaved, r.opened = nil, nil
	r.parse()
	return nil
}

// keptExpired is how long a certificate stays in the storage after its end.
const keptExpired = 7 * 24 * time.Hour

// replaced are the stored certificates that a new one makes needless.
func (r *resolver) replaced(by *storage.Certificate) (ids []string) {
	names := append([]string{by.Domain.Main}, by.Domain.SANs...)
	for _, stored := range r.data.Certificates {
		c := r.parsed[stored]
		if c == nil || stored.ID() == by.ID() {
			continue
		}
		lesser := !slices.ContainsFunc(c.names, func(name string) bool { return !slices.Contains(names, name) })
		if lesser || time.Since(c.leaf.NotAfter) > keptExpired {
			ids = append(ids, stored.ID())
		}
	}
	return ids
}
