package accesslog

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
)

// stamp is a second written out, so that the date is not worked out anew for each line.
type stamp struct {
	second     int64
	utc, local string // "2006-01-02T15:04:05"
	zone       string // of local: "Z" or "+02:00"
	common     string // "02/Jan/2006:15:04:05 +0000", UTC
}

const dateTime = "2006-01-02T15:04:05"

func newStamp(second int64) *stamp {
	local := time.Unix(second, 0)
	u := local.UTC()
	return &stamp{second, u.Format(dateTime), local.Format(dateTime), local.Format("Z07:00"), u.Format("02/Jan/2006:15:04:05 -0700")}
}

// stamps keeps the last second.
type stamps struct{ last atomic.Pointer[stamp] }

// of returns second, counted from 1970, written out.
func (s *stamps) of(second int64) *stamp {
	if last := s.last.Load(); last != nil && last.second == second {
		return last
	}
	clock.Adjust()
	fresh := newStamp(second)
	s.last.Store(fresh)
	return fresh
}

// appendFraction appends the nanoseconds of a second as RFC 3339 has them: without trailing zeros.
func appendFraction(b []byte, ns int64) []byte {
	if ns == 0 {
		return b
	}
	at := len(b)
	b = strconv.AppendInt(b, 1e9+ns, 10)
	b[at] = '.' // was the 1
	end := len(b)
	for b[end-1] == '0' {
		end--
	}
	return b[:end]
}
