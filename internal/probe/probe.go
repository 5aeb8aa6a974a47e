// Package probe asks again and again whether something is well.
package probe

import (
	"context"
	"math/rand/v2"
	"time"
)

// Loop says how often to ask.
type Loop struct {
	// Interval is between two probes of what is well, UnhealthyInterval of what is not. Timeout bounds one.
	Interval, UnhealthyInterval, Timeout time.Duration
}

// Run asks until ctx ends, and tells verdict what came of each probe, unless ctx ended meanwhile. The
// first comes within a second, not at once, and intervals vary by a tenth, so that a thousand servers are
// not all probed in the same moment.
func (l *Loop) Run(ctx context.Context, probe func(context.Context) error, verdict func(error)) {
	pause := time.Duration(rand.Float64() * float64(min(l.Interval, time.Second)))
	for sleep(ctx, pause) {
		err := l.ask(ctx, probe)
		if ctx.Err() != nil {
			return
		}
		verdict(err)
		pause = l.Interval
		if err != nil {
			pause = l.UnhealthyInterval
		}
		pause = time.Duration(float64(pause) * (0.95 + rand.Float64()/10))
	}
}

func (l *Loop) ask(ctx context.Context, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	return probe(ctx)
}

// sleep reports whether it was not interrupted.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
