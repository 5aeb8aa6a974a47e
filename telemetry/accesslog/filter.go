package accesslog

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// filter picks the exchanges that are logged: any of its conditions does. Without one all are.
type filter struct {
	statuses    []span
	retried     bool
	minDuration int64 // nanoseconds; 0 is none
}

// span is a range of statuses, both ends in it.
type span struct{ from, to int }

func newFilter(c static.AccessLogFilters) (filter, error) {
	f := filter{retried: c.RetryAttempts, minDuration: int64(c.MinDuration)}
	for _, text := range c.StatusCodes {
		s, ok := parseSpan(text)
		if !ok {
			return f, fmt.Errorf("filters.statusCodes: %q is not a status or a range such as 500-599", text)
		}
		f.statuses = append(f.statuses, s)
	}
	return f, nil
}

func parseSpan(text string) (span, bool) {
	low, high, ranged := strings.Cut(text, "-")
	if !ranged {
		high = low
	}
	from, err := strconv.Atoi(strings.TrimSpace(low))
	to, err2 := strconv.Atoi(strings.TrimSpace(high))
	return span{from, to}, err == nil && err2 == nil && from >= 100 && from <= to && to <= 999
}

func (f *filter) keeps(x *exchange.Exchange) bool {
	if len(f.statuses) == 0 && !f.retried && f.minDuration == 0 {
		return true
	}
	for _, s := range f.statuses {
		if x.Response.Status >= s.from && x.Response.Status <= s.to {
			return true
		}
	}
	return f.retried && x.Record.Attempts > 1 || f.minDuration > 0 && x.Record.Duration > f.minDuration
}
