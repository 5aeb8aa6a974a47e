// Package retry is the retry middleware: it sends a request again that a server did not answer, or
// answered with one of the listed statuses, as long as that can do no harm.
package retry

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	attempts "github.com/pergola-mesh/pergola/middlewares/internal/attempt"
	"github.com/pergola-mesh/pergola/middlewares/internal/statuses"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/traefik/paerser/types"
)

// Config is the middleware's configuration.
type Config struct {
	// Attempts is how often a request is sent at most, the first time included.
	Attempts int `json:"attempts,omitempty"`
	// InitialInterval is about how long the first retry waits; later ones wait up to twice as long.
	InitialInterval types.Duration `json:"initialInterval,omitempty"`
	// Timeout is how long after the first attempt another may begin; 0 is no limit.
	Timeout types.Duration `json:"timeout,omitempty"`
	// MaxRequestBodyBytes is how much of a body is kept to be sent again; -1 is no limit.
	MaxRequestBodyBytes *int64 `json:"maxRequestBodyBytes,omitempty"`
	// Status lists the statuses that are retried, such as "503" or "500-599".
	Status []string `json:"status,omitempty"`
	// DisableRetryOnNetworkError leaves only Status as a reason to retry.
	DisableRetryOnNetworkError bool `json:"disableRetryOnNetworkError,omitempty"`
	// RetryNonIdempotentMethod sends POST and the like again even though a server may have got them.
	RetryNonIdempotentMethod bool `json:"retryNonIdempotentMethod,omitempty"`
}

// SetDefaults keeps bodies up to 2 MiB.
func (c *Config) SetDefaults() { c.MaxRequestBodyBytes = new(int64(2 << 20)) }

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	if config.Attempts < 1 {
		return nil, fmt.Errorf("attempts is %d: set it to 2 or more", config.Attempts)
	}
	if config.InitialInterval < 0 || config.Timeout < 0 {
		return nil, errors.New("initialInterval and timeout must not be negative")
	}
	if config.DisableRetryOnNetworkError && len(config.Status) == 0 {
		return nil, errors.New("disableRetryOnNetworkError without status leaves nothing to retry on")
	}
	set, err := statuses.Parse(config.Status)
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	p := &policy{
		attempts:      config.Attempts,
		pause:         pause{time.Duration(config.InitialInterval), config.Attempts},
		timeout:       int64(config.Timeout),
		statuses:      set,
		networkErrors: !config.DisableRetryOnNetworkError,
		anyMethod:     config.RetryNonIdempotentMethod,
		budget:        newBudget(),
	}
	if config.MaxRequestBodyBytes != nil {
		p.maxBody = *config.MaxRequestBodyBytes
	}
	return func(next exchange.Handler) exchange.Handler { return &handler{p, next} }, nil
}

// policy is what all routers that use the middleware share.
type policy struct {
	attempts      int
	pause         pause
	timeout       int64 // nanoseconds, 0 for none
	maxBody       int64
	statuses      statuses.Set
	networkErrors bool
	anyMethod     bool
	budget        *budget
}

type handler struct {
	*policy
	next exchange.Handler
}

var requests = sync.Pool{New: func() any { return new(saved) }}

// Handle lets next answer until it does, or nothing more may be tried. Another attempt is only made
// before anything of a response was passed on, so clients notice nothing but the time.
func (h *handler) Handle(x *exchange.Exchange) error {
	if h.attempts == 1 {
		return h.next.Handle(x)
	}
	h.budget.deposit()
	request := requests.Get().(*saved)
	defer requests.Put(request)
	request.save(&x.Request, h.maxBody)
	begin := clock.Now()
	for attempt := 1; ; attempt++ {
		err := attempts.Make(h.next, x)
		if attempt == h.attempts || !h.again(x, err) || !request.replayable() || x.Life.Err() != nil {
			return err
		}
		wait := h.pause.before(attempt)
		if h.timeout > 0 && clock.Now()-begin+int64(wait) >= h.timeout || !h.budget.withdraw() || !request.hold() {
			return err
		}
		if err := sleep(x.Life, wait); err != nil {
			return exchange.ClientAbort.With(err)
		}
		attempts.Forget(x)
		request.restore(&x.Request)
	}
}

// again reports whether the outcome of an attempt is a reason for another.
func (p *policy) again(x *exchange.Exchange, err error) bool {
	if x.Record.Sent && !x.Request.Idempotent() && !p.anyMethod {
		return false
	}
	failed, kind, status := x.Record.Failed, x.Record.Kind, x.Response.Status
	if err != nil {
		failed, kind = true, exchange.KindOf(err)
		status = kind.Status()
	}
	if failed && attempts.IsClients(kind) {
		return false
	}
	return p.statuses.Contains(status) || failed && p.networkErrors && isNetwork(kind)
}

// isNetwork reports whether another server, or the same one later, may well answer.
func isNetwork(k exchange.Kind) bool {
	switch k {
	case exchange.DialFailed, exchange.DialTimeout, exchange.UpstreamReset, exchange.UpstreamTimeout, exchange.UpstreamTLS:
		return true
	}
	return false
}
