// Package circuitbreaker is the circuitBreaker middleware: it stops asking a service that fails, and goes back
// to it little by little.
package circuitbreaker

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/traefik/paerser/types"
)

// Config is the middleware's configuration.
type Config struct {
	// Expression is the condition under which the service is not asked any more.
	Expression string `json:"expression,omitempty"`
	// CheckPeriod is how often the condition is looked at.
	CheckPeriod types.Duration `json:"checkPeriod,omitempty"`
	// FallbackDuration is how long the service is not asked at all.
	FallbackDuration types.Duration `json:"fallbackDuration,omitempty"`
	// RecoveryDuration is how long the share of requests that it is asked then grows to all of them.
	RecoveryDuration types.Duration `json:"recoveryDuration,omitempty"`
	// ResponseCode answers the requests that it is not asked.
	ResponseCode int `json:"responseCode,omitempty"`
}

// SetDefaults sets those of Traefik.
func (c *Config) SetDefaults() {
	c.CheckPeriod = types.Duration(100 * time.Millisecond)
	c.FallbackDuration = types.Duration(10 * time.Second)
	c.RecoveryDuration = types.Duration(10 * time.Second)
	c.ResponseCode = http.StatusServiceUnavailable
}

// New makes the middleware. What it counts is over all routers that use it.
func New(config Config, logger *slog.Logger) (exchange.Middleware, error) {
	if config.Expression == "" {
		return nil, errors.New("expression is empty: write when to stop asking, such as NetworkErrorRatio() > 0.30")
	}
	condition, err := parse(config.Expression)
	if err != nil {
		return nil, fmt.Errorf("expression: %w", err)
	}
	for _, d := range []struct {
		key  string
		span types.Duration
	}{{"checkPeriod", config.CheckPeriod}, {"fallbackDuration", config.FallbackDuration}, {"recoveryDuration", config.RecoveryDuration}} {
		if d.span <= 0 {
			return nil, fmt.Errorf("%s is %s: it must be above 0", d.key, time.Duration(d.span))
		}
	}
	if c := config.ResponseCode; c < 200 || http.StatusText(c) == "" {
		return nil, fmt.Errorf("responseCode %d is not a status a request can be answered with", c)
	}
	b := &breaker{
		condition: condition, period: int64(config.CheckPeriod), fallback: int64(config.FallbackDuration),
		recovery: int64(config.RecoveryDuration), logger: logger,
	}
	b.check = clock.Now()
	b.window.begin = b.check
	return func(next exchange.Handler) exchange.Handler { return &handler{b, config.ResponseCode, next} }, nil
}

var errOpen = exchange.Overloaded.With(errors.New("circuitBreaker: the service is not asked for now"))

type handler struct {
	*breaker
	status int
	next   exchange.Handler
}

// Handle asks the service, unless it has failed too much of late. What a client breaks off says nothing
// about the service.
func (h *handler) Handle(x *exchange.Exchange) error {
	begin := clock.Now()
	if !h.admit(begin) {
		if h.status == http.StatusServiceUnavailable {
			return errOpen
		}
		x.Refuse(h.status)
		return nil
	}
	err := h.next.Handle(x)
	status := x.Response.Status
	if err != nil {
		kind := exchange.KindOf(err)
		if kind == exchange.ClientAbort || kind == exchange.ClientTimeout {
			return err
		}
		status = kind.Status()
	}
	end := clock.Now()
	h.observe(end, status, end-begin)
	return err
}
