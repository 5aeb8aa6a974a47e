package storage

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// leaseLife is how long the lease of a gateway outlives it when it dies; it is renewed at a third of that.
const leaseLife = 30 * time.Second

// Each of these does something only as long as the lease (KEYS[1]) is the caller's (ARGV[1]): that a
// holder that slept too long changes nothing is decided by the server, with the change itself.
var (
	extend = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)

	release = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)

	// ARGV[2] is how many fields are set; their names and values follow, then the fields that go.
	save = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local last = 2 + 2 * tonumber(ARGV[2])
for i = last + 1, #ARGV do redis.call('HDEL', KEYS[2], ARGV[i]) end
for i = 3, last, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i+1]) end
return redis.call('HINCRBY', KEYS[2], 'revision', 1)`)
)

// redisLease is a key that lives as long as its holder renews it.
type redisLease struct {
	redis    *Redis
	resolver string
	token    string
	ctx      context.Context
	cancel   context.CancelCauseFunc
	renewing sync.WaitGroup
}

// Acquire is Storage's.
func (r *Redis) Acquire(ctx context.Context, resolver string) (Lease, error) {
	l := &redisLease{redis: r, resolver: resolver, token: rand.Text()}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	since := time.Now()
	err := r.client.SetArgs(ctx, l.key(), l.token, redis.SetArgs{Mode: "NX", TTL: leaseLife}).Err()
	if err == redis.Nil {
		return nil, ErrHeld
	} else if err != nil {
		return nil, err
	}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	l.renewing.Go(func() { l.renew(since) })
	return l, nil
}

func (l *redisLease) key() string { return l.redis.key(l.resolver, "lease") }

// renew keeps the lease until it is released. When the server cannot be reached, it gives the lease up
// before it ends.
func (l *redisLease) renew(since time.Time) {
	ticker := time.NewTicker(leaseLife / 3)
	defer ticker.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		ctx, cancel := context.WithTimeout(l.ctx, operationTime)
		ours, err := extend.Run(ctx, l.redis.client, []string{l.key()}, l.token, leaseLife.Milliseconds()).Int()
		cancel()
		switch {
		case err == nil && ours == 1:
			since = now
		case err == nil, time.Since(since) > leaseLife-leaseLife/3:
			l.cancel(ErrLost)
			return
		}
	}
}

func (l *redisLease) Context() context.Context { return l.ctx }

func (l *redisLease) Save(ctx context.Context, c Change) error {
	if l.ctx.Err() != nil {
		return ErrLost
	}
	args, err := c.arguments(l.token)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	keys := []string{l.key(), l.redis.key(l.resolver, "data")}
	revision, err := save.Run(ctx, l.redis.client, keys, args...).Int()
	if err == nil && revision == 0 {
		l.cancel(ErrLost)
		return ErrLost
	}
	return err
}

// arguments are those of the script save.
func (c *Change) arguments(token string) ([]any, error) {
	var set, gone []any
	put := func(field string, value any) error {
		text, err := json.Marshal(value)
		set = append(set, field, text)
		return err
	}
	if c.Account != nil {
		if err := put(fieldAccount, c.Account); err != nil {
			return nil, err
		}
	}
	for _, id := range c.Drop {
		gone = append(gone, fieldCertificate+id)
	}
	for _, certificate := range c.Put {
		if err := put(fieldCertificate+certificate.ID(), certificate); err != nil {
			return nil, err
		}
	}
	for id, f := range c.Failed {
		if f == (Failure{}) {
			gone = append(gone, fieldFailure+id)
		} else if err := put(fieldFailure+id, f); err != nil {
			return nil, err
		}
	}
	return append(append([]any{token, len(set) / 2}, set...), gone...), nil
}

func (l *redisLease) Release() {
	l.cancel(ErrLost)
	l.renewing.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), operationTime)
	defer cancel()
	// If this fails the lease ends by itself.
	_ = release.Run(ctx, l.redis.client, []string{l.key()}, l.token).Err()
}
