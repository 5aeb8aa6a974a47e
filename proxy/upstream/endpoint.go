package upstream

import (
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance"
)

// endpoint is one server of one service. It is shared by the services of that name of successive
// snapshots, and lives until none names it and nothing is in flight.
type endpoint struct {
	service, url string
	id           string // within the service
	handler      exchange.Handler
	scope        exchange.Scope
	logger       *slog.Logger

	load balance.Load

	down    atomic.Bool // by the active check
	ejected atomic.Bool // by the passive one
	suspect atomic.Bool // whether a success means anything to outlier
	outlier outlier
	// slowStart is how long its share grows after it came back, in nanoseconds; 0 for not at all.
	slowStart atomic.Int64

	retired atomic.Bool // no service names it any more
	once    sync.Once
	pool    io.Closer

	users int // services that name it; guarded by Registry.mu

	mu sync.Mutex
	// watchers are told whenever down or ejected changes.
	watchers map[*loadBalancer]struct{}
}

// Release is told by a response that it is over.
func (e *endpoint) Release() {
	if e.load.End() == 0 && e.retired.Load() {
		e.close()
	}
}

// retire closes the pool now, or when the last request in flight is over.
func (e *endpoint) retire() {
	e.retired.Store(true)
	e.outlier.stop()
	if e.load.InFlight() == 0 {
		e.close()
	}
}

func (e *endpoint) close() {
	e.once.Do(func() {
		if err := e.pool.Close(); err != nil {
			e.logger.Warn("closing the connections to a server failed", "service", e.service, "server", e.url, "error", err)
		}
	})
}

// watch has l told of changes. What a service that l replaces has saved up for retries becomes l's.
func (e *endpoint) watch(l *loadBalancer) {
	e.mu.Lock()
	for w := range e.watchers {
		l.budget.inherit(&w.budget)
	}
	e.watchers[l] = struct{}{}
	e.mu.Unlock()
}

// unwatch also forgets the verdict of l's active check when nobody is left who checks.
func (e *endpoint) unwatch(l *loadBalancer) {
	e.mu.Lock()
	delete(e.watchers, l)
	unchecked := len(e.watchers) > 0
	for w := range e.watchers {
		unchecked = unchecked && w.checker == nil
	}
	e.mu.Unlock()
	if unchecked && e.down.CompareAndSwap(true, false) {
		e.changed()
	}
}

// setDown takes the verdict of an active check. The reason is why it failed.
func (e *endpoint) setDown(down bool, reason error) {
	if e.down.Swap(down) == down {
		return
	}
	if down {
		e.logger.Warn("a server is down", "service", e.service, "server", e.url, "error", reason)
	} else {
		e.logger.Info("a server is up again", "service", e.service, "server", e.url)
	}
	e.changed()
}

// changed tells everybody that down or ejected has changed.
func (e *endpoint) changed() {
	if span := e.slowStart.Load(); span > 0 && e.up() {
		e.load.SlowStart(time.Duration(span))
	}
	e.mu.Lock()
	watchers := make([]*loadBalancer, 0, len(e.watchers))
	for l := range e.watchers {
		watchers = append(watchers, l)
	}
	e.mu.Unlock()
	for _, l := range watchers {
		l.refresh()
	}
}

func (e *endpoint) up() bool { return !e.down.Load() && !e.ejected.Load() }

// inherit takes over what is known of the same server under other transport settings.
func (e *endpoint) inherit(from *endpoint) {
	e.load.Inherit(&from.load)
	e.down.Store(from.down.Load())
}
