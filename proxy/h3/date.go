package h3

import (
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
)

// dateText is the Date of a second.
type dateText struct {
	second int64
	text   []byte
}

var lastDate atomic.Pointer[dateText]

// date is the value of Date. RFC 9110 §6.6.1.
func date() []byte {
	now := clock.Now()
	if d := lastDate.Load(); d != nil && now/int64(time.Second) == d.second {
		return d.text
	}
	d := &dateText{second: now / int64(time.Second)}
	d.text = clock.Time(now).UTC().AppendFormat(nil, "Mon, 02 Jan 2006 15:04:05 GMT")
	lastDate.Store(d)
	return d.text
}
