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
	parked                 // idle without a goroutine
	parking                // idle, and told by the sweeper to park
	ending                 // idle, and told by the sweeper to end
	phaseMask = 15
)

// told reports a phase that the sweeper has set: the owner of the connection did not choose it.
func (p phase) told() bool { return p == parking || p == ending }

// progress is a phase with a count: a connection that moves changes it, and so a sweeper that twice
// sees the same value knows how long nothing moved. One goroutine enters phases, any may look; the
// sweeper may tell an idle connection to do something else.
type progress struct {
	now   atomic.Uint64
	steps uint64

	seen  uint64 // of the sweeper
	since int64
}

// enter begins a phase, or the same one anew, and returns the one before.
func (p *progress) enter(ph phase) phase {
	p.steps += phaseMask + 1
	return phase(p.now.Swap(p.steps|uint64(ph)) & phaseMask)
}

// phase is the one that the connection is in.
func (p *progress) phase() phase { return phase(p.now.Load() & phaseMask) }

// tell makes a connection that is still idle as the sweeper saw it enter another phase.
func (p *progress) tell(ph phase) bool {
	return p.now.CompareAndSwap(p.seen, p.seen&^phaseMask|uint64(ph))
}

// stuck returns the phase and how long nothing has moved, in nanoseconds. For the sweeper alone.
func (p *progress) stuck(now int64) (phase, int64) {
	s := p.now.Load()
	if s != p.seen {
		p.seen, p.since = s, now
	}
	return phase(s & phaseMask), now - p.since
}
