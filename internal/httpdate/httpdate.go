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

// At is the value of a Date field for a moment that clock.Now returned, or for a later one that was asked
// for before. RFC 9110 §5.6.7.
func At(now int64) string {
	number := now / int64(time.Second)
	if s := last.Load(); s != nil && number <= s.number {
		return s.text
	}
	clock.Adjust()
	s := &second{number, clock.Time(now).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
	last.Store(s)
	return s.text
}
