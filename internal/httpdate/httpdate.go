// Package httpdate is the time of day as HTTP writes it: made once a second.
package httpdate

import (
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
)

// second is the text of one second.
type second struct {
	number int64
	text   string
}

var last atomic.Pointer[second]

// Now is the value of a Date field of this second. RFC 9110 §5.6.7.
func Now() string {
	now := clock.Now()
	number := now / int64(time.Second)
	if s := last.Load(); s != nil && s.number == number {
		return s.text
	}
	s := &second{number, clock.Time(now).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
	last.Store(s)
	return s.text
}
