// Package statuses reads lists of HTTP status codes and ranges.
package statuses

import (
	"fmt"
	"strconv"
	"strings"
)

// Set is a set of statuses.
type Set []span

type span struct{ from, to int }

// Parse reads a list of codes and ranges, such as "404" and "500-599". An item may be several,
// separated by commas.
func Parse(list []string) (Set, error) {
	var set Set
	for _, item := range list {
		for text := range strings.SplitSeq(item, ",") {
			text = strings.TrimSpace(text)
			first, last, isRange := strings.Cut(text, "-")
			from, err := parse(first)
			to := from
			if err == nil && isRange {
				to, err = parse(last)
			}
			if err != nil || from > to {
				return nil, fmt.Errorf("%q is neither a status such as 404 nor a range such as 500-599", text)
			}
			set = append(set, span{from, to})
		}
	}
	return set, nil
}

func parse(text string) (int, error) {
	code, err := strconv.Atoi(strings.TrimSpace(text))
	if err == nil && (code < 100 || code > 999) {
		err = strconv.ErrRange
	}
	return code, err
}

// Contains reports whether the set has a status.
func (s Set) Contains(status int) bool {
	for _, span := range s {
		if span.from <= status && status <= span.to {
			return true
		}
	}
	return false
}
