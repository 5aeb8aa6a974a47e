package snapshot

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// Runner applies the updates of providers as they come, and puts what comes of them in force.
type Runner struct {
	Builder *Builder
	Live    *Live
	// Throttle is the shortest time between two updates of one provider that are applied. Of those that
	// come in between the newest counts.
	Throttle time.Duration
	// Changed yields when something may have changed that objects are made of and that is no file; nil for
	// never.
	Changed <-chan struct{}
	// Metrics is told of each configuration; nil for nobody.
	Metrics Reloads
	// Applied is told of each snapshot that was put in force, and of the one that is at the start of Run; nil
	// for nobody.
	Applied func(*Snapshot)
	Logger  *slog.Logger

	logged map[dynamic.Problem]bool // the problems that stand and are in the log already
	files  atomic.Pointer[watch]
}

// Reload has Run read again the files that objects are made of. It does not wait.
func (r *Runner) Reload() {
	if w := r.files.Load(); w != nil {
		signal(w.changed)
	}
}

// Reloads counts configurations.
type Reloads interface {
	// Reloaded counts a configuration that took effect, with the number of problems that are left in it, and
	// of objects in error whose last good version is in force.
	Reloaded(problems, kept int)
}

// Run applies updates until ctx ends, or updates is closed and the last are applied. A provider's first
// update is applied at once. Unless there was an Apply before, the snapshot in force at the start counts
// as a configuration too.
func (r *Runner) Run(ctx context.Context, updates <-chan dynamic.Update) {
	if r.logged == nil {
		problems := r.Live.Snapshot().problems
		r.log(Report{Problems: problems}, 0)
		r.reloaded(len(problems), 0)
	}
	r.applied(r.Live.Snapshot())
	files := newWatch()
	r.files.Store(files)
	w := waiting{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		files.set(ctx, r.Builder.Files(), r.Logger)
		select {
		case <-ctx.Done():
			return
		case <-files.changed:
			r.take(r.Builder.Refresh)
			continue
		case <-r.Changed:
			r.take(r.Builder.Refresh)
			continue
		case u, ok := <-updates:
			if !ok {
				updates = nil
				if w.empty() {
					return
				}
				continue
			}
			w.add(u)
		case <-timer.C:
		}
		now := time.Now()
		for _, u := range w.due(now, r.Throttle) {
			r.Apply(u)
		}
		if updates == nil && w.empty() {
			return
		}
		if next, ok := w.next(); ok {
			timer.Reset(next.Sub(now))
		}
	}
}

// Apply applies one update now.
func (r *Runner) Apply(u dynamic.Update) {
	r.take(func() (*Snapshot, Report) { return r.Builder.Apply(u) })
}

// take puts what change makes in force.
func (r *Runner) take(change func() (*Snapshot, Report)) {
	start := time.Now()
	s, report := change()
	r.log(report, time.Since(start))
	if !report.Changed {
		return
	}
	r.Live.Swap(s)
	r.applied(s)
	r.reloaded(len(report.Problems), report.Kept)
}

func (r *Runner) applied(s *Snapshot) {
	if r.Applied != nil {
		r.Applied(s)
	}
}

func (r *Runner) reloaded(problems, kept int) {
	if r.Metrics != nil {
		r.Metrics.Reloaded(problems, kept)
	}
}

// log tells of each problem once for as long as it stands, of those that were mended, and of what
// was rebuilt.
func (r *Runner) log(report Report, took time.Duration) {
	now := make(map[dynamic.Problem]bool, len(report.Problems))
	for _, p := range report.Problems {
		line := p.Line
		p.Line = 0 // it moves with every edit above it
		if now[p] = true; !r.logged[p] {
			r.Logger.Error("Configuration problem", "source", p.Source, "line", line, "object", p.Object, "problem", complaint(p))
		}
	}
	mended := 0
	for p := range r.logged {
		if !now[p] {
			mended++
		}
	}
	r.logged = now
	if report.Changed {
		r.Logger.Info("Configuration applied", "provider", report.Provider, "problems", len(report.Problems), "mended", mended, "kept", report.Kept,
			"routers", report.Built.Routers, "services", report.Built.Services, "middlewares", report.Built.Middlewares, "duration", took)
	}
}
