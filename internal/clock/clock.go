// Package clock is the monotonic clock of the request path: one cheap read, no time.Time.
package clock

import "time"

var start = time.Now()

// Now returns nanoseconds since the process started, on the monotonic clock. It never goes back.
func Now() int64 { return int64(time.Since(start)) }

// Time returns the wall-clock time of a moment that Now returned.
func Time(ns int64) time.Time { return start.Add(time.Duration(ns)) }
