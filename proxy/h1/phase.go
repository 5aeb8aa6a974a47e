package h1

import "sync/atomic"

// phase is what a connection is waiting for.
type phase uint64

const (
	idle      phase = iota // for the next request, or in a pool
	reading                // for the rest of a head
	receiving              // for more of a body
	writing                // for the peer to take what we write
	busy                   // for somebody else: a handler, the other side
	tunnelled              // the connection has changed protocol
	phaseMask = 7
)

// progress is a phase with a count: a connection that moves changes it, and so a sweeper that twice
// sees the same value knows how long nothing moved. One goroutine writes, any may read.
type progress struct {
	now   atomic.Uint64
	steps uint64

	seen  uint64 // of the sweeper
	since int64
}

// enter begins a phase, or the same one anew.
func (p *progress) enter(ph phase) {
	p.steps += phaseMask + 1
	p.now.Store(p.steps | uint64(ph))
}

// stuck returns the phase and how long nothing has moved, in nanoseconds. For the sweeper alone.
func (p *progress) stuck(now int64) (phase, int64) {
	s := p.now.Load()
	if s != p.seen {
		p.seen, p.since = s, now
	}
	return phase(s & phaseMask), now - p.since
}
