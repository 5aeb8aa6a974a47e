package balance

import (
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
)

// Load is what is going on at a target. It outlives sets. The zero value is an idle target.
// All methods are safe for concurrent use.
type Load struct {
	_        [64]byte // its own cache line: it changes with every request
	inFlight atomic.Int64
	latency  latency
	rampFrom atomic.Int64 // when slow start began, by package clock; 0 when there is none
	rampSpan atomic.Int64 // how long it takes, in nanoseconds
	_        [64]byte
}

// Begin counts a request that was sent to the target.
func (l *Load) Begin() { l.inFlight.Add(1) }

// End counts a request as over, and returns how many are left.
func (l *Load) End() int64 { return l.inFlight.Add(-1) }

// InFlight is the number of requests begun and not over.
func (l *Load) InFlight() int64 { return l.inFlight.Load() }

// Observe counts an answer that took so long, in nanoseconds, and came now, by package clock.
func (l *Load) Observe(now, took int64) { l.latency.observe(now, took) }

// Latency is the moving average of what Observe was told; 0 when it was told nothing.
func (l *Load) Latency() time.Duration { return time.Duration(l.latency.mean()) }

// Inherit takes over the latency another Load of the same server has learnt.
func (l *Load) Inherit(from *Load) { l.latency.packed.Store(from.latency.packed.Load()) }

// firstShare is what a target gets when slow start begins.
const firstShare = 0.1

// SlowStart makes the target's share grow from a tenth to the whole over the span.
func (l *Load) SlowStart(span time.Duration) {
	l.rampSpan.Store(int64(span))
	l.rampFrom.Store(clock.Now() | 1) // 0 means none
}

func (l *Load) ramping() bool { return l.rampFrom.Load() != 0 }

// Share is the part of its weight that the target gets now: 1 but in slow start.
func (l *Load) Share() float64 {
	from := l.rampFrom.Load()
	if from == 0 {
		return 1
	}
	share := float64(clock.Now()-from) / float64(l.rampSpan.Load())
	if share >= 1 {
		l.rampFrom.CompareAndSwap(from, 0)
		return 1
	}
	return max(share, firstShare)
}
