package h3

import "sync/atomic"

// phase is what a stream is waiting for, as the sweeper sees it.
type phase uint32

const (
	idle      phase = iota // nothing of the client's
	reading                // the rest of a request head
	receiving              // more of a request body
	writing                // the client to take what is written
	phaseMask = 3
)

// progress is a phase with a count: what moves changes it, and so a sweeper that twice sees the same
// value knows how long nothing moved. One goroutine at a time enters phases; the sweeper looks.
type progress struct {
	now   atomic.Uint32
	seen  uint32 // of the sweeper
	since int64
}

// enter begins a phase, or the same one anew.
func (p *progress) enter(ph phase) { p.now.Store(p.now.Load()&^phaseMask + phaseMask + 1 | uint32(ph)) }

// stuck returns the phase and how long nothing has moved, in nanoseconds. For the sweeper alone.
func (p *progress) stuck(now int64) (phase, int64) {
	s := p.now.Load()
	if s != p.seen {
		p.seen, p.since = s, now
	}
	return phase(s & phaseMask), now - p.since
}
