// Package clock is the monotonic clock of the request path: one cheap read, no time.Time.
package clock

import (
	"sync/atomic"
	"time"
)

var start = time.Now()

// Now returns nanoseconds since the process started, on the monotonic clock. Where the kernel makes its clock of
// the processor's counter it is that counter which is read; see follower.
func Now() int64 {
	if r := counter.rate.Load(); r != nil {
		if d := cycles() - r.cycles; d < r.due {
			return r.at(d)
		}
	}
	return counter.read()
}

// system is the system's clock, in nanoseconds since the process started.
func system() int64 { return int64(time.Since(start)) }

// offset is what the wall clock is ahead of Now, in nanoseconds since 1970.
var offset = func() *atomic.Int64 {
	var o atomic.Int64
	o.Store(start.UnixNano())
	return &o
}()

// Unix returns the wall-clock time of a moment that Now returned, in nanoseconds since 1970.
func Unix(ns int64) int64 { return offset.Load() + ns }

// Time is Unix as a time.Time.
func Time(ns int64) time.Time { return time.Unix(0, Unix(ns)) }

// Adjust makes Unix and Time follow a wall clock that was set since the process started. Whoever writes
// times out calls it about once a second.
func Adjust() {
	now := time.Now()
	offset.Store(now.UnixNano() - int64(now.Sub(start)))
}
