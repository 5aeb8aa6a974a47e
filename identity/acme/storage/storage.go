// Package storage keeps what certificate resolvers must not lose: accounts, certificates with their
// keys, and what failed lately. A store that several gateways share also decides which of them may
// order, and carries the answers to challenges from that one to the others.
package storage

import (
	"context"
	"errors"
	"time"
)

// Storage is where resolvers keep their data, each under its name. It is safe for concurrent use.
type Storage interface {
	// Load returns all that is kept for a resolver, and a revision that changes when it does. When the
	// revision is still known, data is nil. The caller owns the data.
	Load(ctx context.Context, resolver, known string) (data *Data, revision string, err error)
	// Acquire gives the caller alone the right to order for a resolver and to change its data, until it
	// releases the lease or dies. It fails with ErrHeld while another has it.
	Acquire(ctx context.Context, resolver string) (Lease, error)

	// Present makes a challenge's answer known to all who share the storage.
	Present(ctx context.Context, c Challenge) error
	// Find returns a challenge's answer; ok is false when there is none.
	Find(ctx context.Context, kind, key string) (c Challenge, ok bool, err error)
	// Withdraw ends what Present began.
	Withdraw(ctx context.Context, c Challenge) error

	// Shared says whether others may answer, order and save by the same storage.
	Shared() bool
	// Close gives up connections. Leases end.
	Close() error
}

// Lease is the right to order for a resolver.
type Lease interface {
	// Context ends when the lease is lost or released, with context.Cause telling why.
	Context() context.Context
	// Save makes changes to the data, all or none. It fails with ErrLost, and changes nothing, when the
	// lease is no longer the caller's.
	Save(ctx context.Context, c Change) error
	// Release gives the lease back. It is called once.
	Release()
}

// ErrHeld says that another gateway has the lease; ErrLost that it was ours and is not any more.
var (
	ErrHeld = errors.New("another gateway is ordering")
	ErrLost = errors.New("the lease was lost: another gateway may be ordering")
)

// ChallengeLife is how long an answer is kept that nobody withdrew, such as that of a gateway that died.
const ChallengeLife = 15 * time.Minute

// The kinds of challenges whose answers are shared.
const (
	HTTP01    = "http-01"
	TLSALPN01 = "tls-alpn-01"
)

// Challenge is the answer to a challenge. Key is what it is asked for by: the token of HTTP-01, the name
// of TLS-ALPN-01.
type Challenge struct {
	Kind string `json:"-"`
	Key  string `json:"-"`
	// Name is the name that is proven.
	Name string `json:"name"`
	// KeyAuthorization is what proves it. RFC 8555 §8.1.
	KeyAuthorization string `json:"keyAuthorization"`
}
