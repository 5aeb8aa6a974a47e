package clock

import (
	"sync"
	"sync/atomic"
)

var counter follower

// UseCounter lets Now read the processor's counter, where that can be. The program calls it when it starts; tests whose
// time is not the machine's do without. It is for once: later calls do nothing.
var UseCounter = sync.OnceFunc(func() {
	counter.mu.Lock()
	defer counter.mu.Unlock()
	if counter.usable = hasCounter(); counter.usable {
		counter.cycles, counter.ns = compare()
	}
})

// follower makes a clock of the processor's counter, which is read in less than half the time that the system's
// clock takes; a request reads it four times. It is used where the kernel makes its own clock of it, and held
// against that one about once a second: it follows the system's pace, and a counter that leaves it is given up.
type follower struct {
	rate atomic.Pointer[rate] // nil: the system's clock is read

	mu     sync.Mutex
	usable bool
	cycles uint64 // when the two were last compared
	ns     int64
}

// rate turns cycles of the counter into nanoseconds. It does not change.
type rate struct {
	cycles uint64 // the counter when this began
	ns     int64  // what the clock was then
	pace   uint64 // nanoseconds a cycle, times 1<<paceBits
	due    uint64 // after how many cycles the two are to be compared again
	until  uint64 // after how many cycles this says nothing any more
}

const (
	paceBits = 28
	span     = int64(1e9) // from one comparison to the next, in nanoseconds
	lasting  = 4          // spans that a rate is good for: cycles times pace must fit into 64 bits
	watched  = span / 10  // for how long at least the counter is watched before it is judged

	// strays is how small a part of the time between two comparisons the counter may have left the system's clock
	// by. The kernel runs its clock faster or slower by 1/2000 at most, to set it.
	strays = 1000
)

// at is the time d cycles behind the rate's beginning, less than until.
func (r *rate) at(d uint64) int64 { return r.ns + int64(d*r.pace>>paceBits) }

// newRate is the rate that begins at cycles, which is ns, and by which so many nanoseconds last so many cycles; nil
// if no counter is that slow or fast.
func newRate(cycles uint64, ns, lasted int64, took uint64) *rate {
	each := float64(lasted) / float64(took)
	if !(each > 0.1 && each < 2) { // 10 GHz, 0.5 GHz
		return nil
	}
	due := uint64(float64(span) / each)
	return &rate{cycles: cycles, ns: ns, pace: uint64(each * (1 << paceBits)), due: due, until: lasting * due}
}

// compare reads the counter and the system's clock, one right behind the other: in that order, so that a clock made of
// the one is ahead of the other by what lies between, and who had the time from the other sees none go back.
func compare() (uint64, int64) {
	var c uint64
	var ns int64
	best := ^uint64(0)
	for range 3 { // the goroutine may have lost the processor in between
		before := cycles()
		now := system()
		if width := cycles() - before; width < best {
			best, c, ns = width, before, now
		}
	}
	return c, ns
}

// read is Now where the rate is missing or due.
func (f *follower) read() int64 {
	if !f.mu.TryLock() {
		return f.meanwhile()
	}
	defer f.mu.Unlock()
	if !f.usable {
		return system()
	}
	return f.look(compare())
}

// meanwhile is Now while another goroutine compares.
func (f *follower) meanwhile() int64 {
	if r := f.rate.Load(); r != nil {
		if d := cycles() - r.cycles; d < r.until {
			return r.at(d)
		}
	}
	return system()
}

// look holds the counter against the system's clock, with what both are now, and returns the time.
func (f *follower) look(cycles uint64, ns int64) int64 {
	took, lasted := cycles-f.cycles, ns-f.ns
	r := f.rate.Load()
	switch {
	case lasted < watched: // too short to tell anything by: another goroutine may have compared a moment ago
		if r != nil && cycles-r.cycles < r.until {
			return r.at(cycles - r.cycles)
		}
		return ns
	case r == nil:
		f.begin(newRate(cycles, ns, lasted, took))
	case cycles-r.cycles >= r.until: // nobody has asked for long: the machine may have slept
		f.rate.Store(nil)
	default:
		now := r.at(cycles - r.cycles)
		off := ns - now
		if off > lasted/strays || off < -lasted/strays {
			f.begin(nil)
			return ns
		}
		// From here it goes on without a step, and so that it has come to the system's clock after a span.
		f.begin(newRate(cycles, now, lasted+int64(float64(off)*float64(lasted)/float64(span)), took))
		ns, f.cycles, f.ns = now, cycles, ns
		return ns
	}
	f.cycles, f.ns = cycles, ns
	return ns
}

// begin goes on with r; without one the counter is given up.
func (f *follower) begin(r *rate) {
	f.usable = r != nil
	f.rate.Store(r)
}
