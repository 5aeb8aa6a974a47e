package snapshot

import (
	"maps"
	"slices"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// waiting holds the newest update of each provider until it may be applied.
type waiting map[string]*turn

// turn is a provider's place in time.
type turn struct {
	update *dynamic.Update // nil when there is none
	from   time.Time       // when the next may be applied
}

func (w waiting) add(u dynamic.Update) {
	t := w[u.Provider]
	if t == nil {
		t = &turn{}
		w[u.Provider] = t
	}
	t.update = &u
}

// due takes out the updates that may be applied now, and lets the next ones of their providers wait.
func (w waiting) due(now time.Time, throttle time.Duration) []dynamic.Update {
	var updates []dynamic.Update
	for _, provider := range slices.Sorted(maps.Keys(w)) {
		if t := w[provider]; t.update != nil && !now.Before(t.from) {
			updates = append(updates, *t.update)
			t.update, t.from = nil, now.Add(throttle)
		}
	}
	return updates
}

// next is when an update that waits may be applied.
func (w waiting) next() (at time.Time, ok bool) {
	for _, t := range w {
		if t.update != nil && (!ok || t.from.Before(at)) {
			at, ok = t.from, true
		}
	}
	return at, ok
}

func (w waiting) empty() bool {
	_, ok := w.next()
	return !ok
}
