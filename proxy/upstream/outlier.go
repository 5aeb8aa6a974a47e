package upstream

import (
	"errors"
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
)

// PassiveHealthCheck takes a server out for FailureWindow when MaxFailedAttempts requests to it failed
// within that time: there was no connection, no answer, or one with a status of 500 and up.
type PassiveHealthCheck struct {
	FailureWindow     time.Duration
	MaxFailedAttempts int
}

// passive is when failing requests take a server out, and for how long.
type passive struct {
	// failures within the window take the server out; a window of 0 means in a row.
	failures int
	window   time.Duration
	// period is how long it stays out; without a window twice as long each time it happens again
	// without a success in between, up to longest.
	period, longest time.Duration
	// statuses counts answers from 500 up as failures.
	statuses bool
}

// unstated is what applies where no passive health check is configured: a server that cannot be
// reached three times in a row is left alone for a second, then for longer.
var unstated = passive{failures: 3, period: time.Second, longest: 30 * time.Second}

// policy is what a configuration, or the lack of one, means.
func (p *PassiveHealthCheck) policy() (*passive, error) {
	if p == nil {
		return &unstated, nil
	}
	if p.FailureWindow <= 0 {
		return nil, errors.New("passiveHealthCheck: failureWindow must be positive")
	}
	if p.MaxFailedAttempts <= 0 {
		return nil, errors.New("passiveHealthCheck: maxFailedAttempts must be positive")
	}
	return &passive{failures: p.MaxFailedAttempts, window: p.FailureWindow, period: p.FailureWindow, statuses: true}, nil
}

// outlier takes an endpoint out when requests to it fail.
type outlier struct {
	mu     sync.Mutex
	recent []int64 // when the last failures were, by package clock
	streak int     // how often it was ejected with no success in between
	since  int64   // when it was ejected
	back   *time.Timer
}

// failed counts a request that failed.
func (e *endpoint) failed(p *passive) {
	if e.outlier.failed(p, e) {
		e.logger.Warn("a server is ejected because requests to it fail", "service", e.service, "server", e.url)
		e.changed()
	}
}

func (o *outlier) failed(p *passive, e *endpoint) (ejected bool) {
	now := clock.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.ejected.Load() || e.retired.Load() {
		return false
	}
	e.suspect.Store(true)
	if p.window > 0 {
		for len(o.recent) > 0 && now-o.recent[0] > int64(p.window) {
			o.recent = o.recent[1:]
		}
	}
	o.recent = append(o.recent, now)
	// One that fails when it has just come back goes at once.
	if len(o.recent) < p.failures && (p.window > 0 || o.streak == 0) {
		return false
	}
	period := p.period
	if p.window == 0 {
		period = min(period<<min(o.streak, 8), p.longest)
		o.streak++
	}
	o.recent, o.since = nil, now
	e.ejected.Store(true)
	o.back = time.AfterFunc(period, func() { e.readmit(now) })
	return true
}

// succeeded is told of requests that succeeded, begun at start, while the endpoint is suspect.
func (e *endpoint) succeeded(p *passive, start int64) {
	if p.window > 0 {
		return // the window alone decides
	}
	o := &e.outlier
	o.mu.Lock()
	out, since := e.ejected.Load(), o.since
	if out && start < since {
		o.mu.Unlock()
		return // it says nothing about now
	}
	o.recent, o.streak = nil, 0
	e.suspect.Store(false)
	o.mu.Unlock()
	if out {
		e.readmit(since)
	}
}

// readmit ends the ejection that began at since.
func (e *endpoint) readmit(since int64) {
	o := &e.outlier
	o.mu.Lock()
	ended := o.since == since && e.ejected.CompareAndSwap(true, false)
	if ended {
		o.back.Stop()
	}
	o.mu.Unlock()
	if ended {
		e.logger.Info("a server that was ejected gets requests again", "service", e.service, "server", e.url)
		e.changed()
	}
}

// stop ends the timer, if any, for good.
func (o *outlier) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.back != nil {
		o.back.Stop()
	}
}
