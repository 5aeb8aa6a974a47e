package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// Redis keeps the data of resolvers in a Redis database that gateways share. The data of a resolver is a
// hash, whose fields are "account", "certificate:<names>" and "failure:<names>", with its revision in
// the field "revision". All keys of a resolver hash to the same slot of a cluster.
type Redis struct {
	client redis.UniversalClient
	prefix string
	answer memory // what this gateway presented itself
}

// defaultPrefix is what keys begin with unless the URL says otherwise.
const defaultPrefix = "pergola:acme:"

// OpenRedis connects to where a URL says, when it is first needed. The schemes are redis, rediss (TLS)
// and unix; ?addr= (again and again) makes it a cluster, ?master_name= asks Sentinel, and ?prefix= sets
// what all keys begin with.
func OpenRedis(where string) (*Redis, error) {
	u, err := url.Parse(where)
	if err != nil {
		return nil, errors.New("the storage is not a valid URL: it must be redis://[user:password@]host:port[/db]")
	}
	logging.Disable() // it would write to standard error, in a form of its own, what its errors say too
	r := &Redis{prefix: defaultPrefix}
	query := u.Query()
	if query.Has("prefix") {
		r.prefix = strings.TrimSuffix(query.Get("prefix"), ":") + ":"
		query.Del("prefix")
		u.RawQuery = query.Encode()
	}
	switch {
	case query.Has("master_name"):
		var o *redis.FailoverOptions
		if o, err = redis.ParseFailoverURL(u.String()); err == nil {
			r.client = redis.NewFailoverClient(o)
		}
	case query.Has("addr"):
		var o *redis.ClusterOptions
		if o, err = redis.ParseClusterURL(u.String()); err == nil {
			r.client = redis.NewClusterClient(o)
		}
	default:
		var o *redis.Options
		if o, err = redis.ParseURL(u.String()); err == nil {
			o.ContextTimeoutEnabled = true
			r.client = redis.NewClient(o)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("storage %s: %w", u.Redacted(), err)
	}
	return r, nil
}

// Shared is true.
func (r *Redis) Shared() bool { return true }

// Close closes the connections. Leases end when their time is up.
func (r *Redis) Close() error { return r.client.Close() }

// key is a key of a resolver. The braces keep them in one slot.
func (r *Redis) key(resolver, what string) string { return r.prefix + "{" + resolver + "}:" + what }

// operationTime bounds each exchange with the server.
const operationTime = 5 * time.Second

// The fields of a resolver's hash.
const (
	fieldAccount     = "account"
	fieldRevision    = "revision"
	fieldCertificate = "certificate:"
	fieldFailure     = "failure:"
)

// Load is Storage's.
func (r *Redis) Load(ctx context.Context, resolver, known string) (*Data, string, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	key := r.key(resolver, "data")
	revision, err := r.client.HGet(ctx, key, fieldRevision).Result()
	if errors.Is(err, redis.Nil) {
		revision = "none"
	} else if err != nil {
		return nil, "", err
	}
	if revision == known {
		return nil, revision, nil
	}
	fields, err := r.client.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, "", err
	}
	data := &Data{}
	for field, value := range fields {
		if err := data.decode(field, value); err != nil {
			return nil, "", fmt.Errorf("%s, field %s: %w", key, field, err)
		}
	}
	if fields[fieldRevision] != "" {
		revision = fields[fieldRevision]
	}
	return data, revision, nil
}

// decode takes in one field of the hash.
func (d *Data) decode(field, value string) error {
	if field == fieldAccount {
		return json.Unmarshal([]byte(value), &d.Account)
	}
	if strings.HasPrefix(field, fieldCertificate) {
		c := &Certificate{}
		d.Certificates = append(d.Certificates, c)
		return json.Unmarshal([]byte(value), c)
	}
	if id, ok := strings.CutPrefix(field, fieldFailure); ok {
		var f Failure
		if err := json.Unmarshal([]byte(value), &f); err != nil {
			return err
		}
		if d.Failures == nil {
			d.Failures = map[string]Failure{}
		}
		d.Failures[id] = f
	}
	return nil
}

// Present is Storage's.
func (r *Redis) Present(ctx context.Context, c Challenge) error {
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	value, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := r.client.Set(ctx, r.challenge(c.Kind, c.Key), value, ChallengeLife).Err(); err != nil {
		return err
	}
	return r.answer.put(c)
}

// Find is Storage's.
func (r *Redis) Find(ctx context.Context, kind, key string) (Challenge, bool, error) {
	if c, ok := r.answer.get(kind, key); ok {
		return c, true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	value, err := r.client.Get(ctx, r.challenge(kind, key)).Bytes()
	if errors.Is(err, redis.Nil) {
		return Challenge{}, false, nil
	} else if err != nil {
		return Challenge{}, false, err
	}
	c := Challenge{Kind: kind, Key: key}
	if err := json.Unmarshal(value, &c); err != nil {
		return Challenge{}, false, err
	}
	return c, true, nil
}

// Withdraw is Storage's.
func (r *Redis) Withdraw(ctx context.Context, c Challenge) error {
	r.answer.remove(c)
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	return r.client.Del(ctx, r.challenge(c.Kind, c.Key)).Err()
}

func (r *Redis) challenge(kind, key string) string { return r.prefix + "challenge:" + kind + ":" + key }
