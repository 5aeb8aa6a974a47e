package exchange

import (
	"context"
	"sync"
	"sync/atomic"
)

// Canceler is something that can be made to stop waiting, from another goroutine.
type Canceler interface {
	Cancel(reason error)
}

// Life is how long an exchange is wanted. The codec begins it, ends it, and cancels it when the
// client goes away; whoever blocks on behalf of the exchange binds itself to be woken then.
// Its methods are safe for concurrent use.
type Life struct {
	mu     sync.Mutex
	alive  bool
	reason error
	// cancelled says that reason is set: most look-ups end there.
	cancelled atomic.Bool
	bound     Canceler
	ctx       context.Context
	stop      context.CancelCauseFunc
}

// Begin starts a new life.
func (l *Life) Begin() {
	l.mu.Lock()
	l.alive, l.bound = true, nil
	if l.reason != nil {
		l.reason = nil
		l.cancelled.Store(false)
	}
	l.mu.Unlock()
}

// End ends the life in the ordinary way: nothing is cancelled but a Context that was asked for.
func (l *Life) End() {
	l.mu.Lock()
	l.alive, l.bound = false, nil
	stop := l.stop
	l.ctx, l.stop = nil, nil
	l.mu.Unlock()
	if stop != nil {
		stop(context.Canceled)
	}
}

// Cancel wakes whoever is bound, now and later, with reason. It does nothing outside a life.
func (l *Life) Cancel(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.alive || l.reason != nil {
		return
	}
	l.reason = reason
	l.cancelled.Store(true)
	if l.stop != nil {
		l.stop(reason)
	}
	if l.bound != nil {
		l.bound.Cancel(reason)
	}
}

// Bind makes c the one to wake, until the next Bind; nil unbinds. It returns the reason, and does
// not bind, when the life was cancelled already. Cancel is not called after a Bind that replaced c
// has returned.
func (l *Life) Bind(c Canceler) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reason != nil && c != nil {
		return l.reason
	}
	l.bound = c
	return nil
}

// Err is the reason once the life was cancelled, else nil.
func (l *Life) Err() error {
	if !l.cancelled.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

// Context returns a context that ends with the life.
func (l *Life) Context() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil {
		l.ctx, l.stop = context.WithCancelCause(context.Background())
		if l.reason != nil {
			l.stop(l.reason)
		}
	}
	return l.ctx
}
