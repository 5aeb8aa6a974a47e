package accesslog

import (
	"bytes"
	"strconv"
	"sync/atomic"
	"time"
)

// stamp is a second written out, so that the date is not worked out anew for each line.
type stamp struct {
	second     int64
	utc, local string // "2006-01-02T15:04:05"
	zone       string // of local: "Z" or "+02:00"
	common     string // "02/Jan/2006:15:04:05 +0000", UTC
}

const dateTime = "2006-01-02T15:04:05"

func newStamp(t time.Time) *stamp {
	u, local := t.UTC(), t.Local()
	return &stamp{t.Unix(), u.Format(dateTime), local.Format(dateTime), local.Format("Z07:00"), u.Format("02/Jan/2006:15:04:05 -0700")}
}

// stamps keeps the last second.
type stamps struct{ last atomic.Pointer[stamp] }

func (s *stamps) of(t time.Time) *stamp {
	if last := s.last.Load(); last != nil && last.second == t.Unix() {
		return last
	}
	fresh := newStamp(t)
	s.last.Store(fresh)
	return fresh
}

// appendFraction appends the nanoseconds of a second as RFC 3339 has them: without trailing zeros.
func appendFraction(b []byte, ns int) []byte {
	if ns == 0 {
		return b
	}
	at := len(b)
	b = strconv.AppendInt(b, 1e9+int64(ns), 10)
	b[at] = '.' // was the 1
	return bytes.TrimRight(b, "0")
}
