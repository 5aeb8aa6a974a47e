// Package tidy gives memory back to the system once a process has become quiet.
//
// The collector of Go runs when the heap has doubled, and what it frees goes back little by little: after a
// crowd of connections has come to rest, half of what the process has is nobody's, for minutes.
package tidy

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/pergola-mesh/pergola/internal/alarm"
)

const (
	// period is the time between two looks.
	period = time.Second
	// quiet is below how many bytes allocated in a period a process is quiet.
	quiet = 256 << 10
	// rest is for how many periods it has to be.
	rest = 2
	// worthwhile is from how many bytes on, and from which part of the heap on, there is something to give.
	worthwhile, worthwhilePart = 1 << 20, 8
	// effort bounds the time spent: one part in so many.
	effort = 100
)

// Run tidies at once, for starting leaves a lot behind, and then whenever the process is quiet and it is
// worthwhile, until ctx ends.
func Run(ctx context.Context) {
	collect()
	dropProgram()
	looks := alarm.New(period, period)
	defer looks.Stop()
	w := watch{}
	for r := newReader(); ; {
		select {
		case <-ctx.Done():
			return
		case <-looks.C:
			if now := time.Now(); w.due(now, r.read()) {
				collect()
				w.collected(now, time.Now())
			}
		}
	}
}

// collect frees what is garbage and gives it back. What a sync.Pool holds survives one collection.
func collect() {
	runtime.GC()
	debug.FreeOSMemory()
}

// watch finds out when it is time.
type watch struct {
	allocated uint64 // as of the last look
	still     int    // for how many periods the process has been quiet
	earliest  time.Time
}

// due reports whether there is something to give back, and nobody busy.
func (w *watch) due(now time.Time, h heap) bool {
	w.still++
	if h.allocated-w.allocated >= quiet {
		w.still = 0
	}
	w.allocated = h.allocated
	return w.still >= rest && h.spare() >= max(worthwhile, h.live/worthwhilePart) && !now.Before(w.earliest)
}

// collected takes down what it cost.
func (w *watch) collected(began, ended time.Time) {
	w.earliest = ended.Add(effort * ended.Sub(began))
}
