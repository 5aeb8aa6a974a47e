package circuitbreaker

import (
	"log/slog"
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/middlewares/internal/expression"
)

// state is how much a service is asked.
type state uint8

const (
	closed     state = iota // always
	open                    // never
	recovering              // more and more
)

// breaker is what all routers that use the middleware share. Times are nanoseconds of package clock.
type breaker struct {
	condition                  expression.Test[*window]
	period, fallback, recovery int64
	logger                     *slog.Logger

	mu     sync.Mutex
	state  state
	since  int64 // when state began
	check  int64 // when the condition is to be looked at next
	window window
	credit float64 // requests that may be let through in a recovery: each adds its share
}

// admit reports whether a request may be passed on at a moment.
func (b *breaker) admit(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == open && now-b.since >= b.fallback {
		b.enter(recovering, now)
	}
	switch b.state {
	case open:
		return false
	case recovering:
		if now-b.since >= b.recovery {
			b.enter(closed, now)
			break
		}
		if b.credit += float64(now-b.since) / float64(b.recovery); b.credit < 1 {
			return false
		}
		b.credit--
	}
	return true
}

// observe counts how a request went, and stops asking if the condition holds.
func (b *breaker) observe(now int64, status int, took int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == open {
		return // asked before
	}
	b.window.record(now, status, took)
	if now < b.check {
		return
	}
	b.check = now + b.period
	if b.condition(&b.window) {
		b.enter(open, now)
	}
}

// enter changes the state. What was counted in the one before does not count in the next.
func (b *breaker) enter(s state, now int64) {
	b.state, b.since, b.credit = s, now, 0
	switch s {
	case open:
		b.window.reset()
		b.logger.Warn("circuit breaker: the service is not asked for now", "for", time.Duration(b.fallback))
	case recovering:
		b.window.reset()
		b.logger.Info("circuit breaker: the service is asked little by little", "over", time.Duration(b.recovery))
	case closed:
		b.logger.Info("circuit breaker: the service is asked as before")
	}
}
