package balance

import (
	"math"
	"sync/atomic"
	"time"
)

// memory is how long latency remembers: an observation counts for 1/e of that after this time.
const memory = 10 * time.Second

// latency is an exponentially weighted moving average that forgets by time and not by count, so that
// it means the same at any rate. It is one word, for there to be no lock: the average in
// nanoseconds as a float32 above the time of the last observation in milliseconds, modulo 2^32. Zero
// means that nothing was observed; an average is never 0.
type latency struct {
	packed  atomic.Uint64
	claimed atomic.Int64 // when a probe was last handed out, by package clock; 0 for never
}

func (l *latency) observe(now, took int64) {
	for {
		old := l.packed.Load()
		mean := float64(took)
		if past, at := unpack(old); past > 0 {
			// The age counts as a millisecond at least, else a burst would teach nothing.
			keep := math.Exp(-float64(max(age(now, at), time.Millisecond)) / float64(memory))
			mean = keep*past + (1-keep)*mean
		}
		if l.packed.CompareAndSwap(old, pack(max(mean, 1), millis(now))) {
			return
		}
	}
}

// mean is the average in nanoseconds; 0 when nothing was observed.
func (l *latency) mean() float64 {
	mean, _ := unpack(l.packed.Load())
	return mean
}

// claim reports whether nothing was observed or claimed for the span before now. Of many callers only
// one is told so.
func (l *latency) claim(now int64, span time.Duration) bool {
	old := l.packed.Load()
	if _, at := unpack(old); old != 0 && age(now, at) < span {
		return false
	}
	last := l.claimed.Load()
	return (last == 0 || now-last >= int64(span)) && l.claimed.CompareAndSwap(last, now|1)
}

func millis(now int64) uint32 { return uint32(now / int64(time.Millisecond)) }

// age is how long ago at was. Another goroutine may have looked at the clock a little later than
// this one: at most that is taken for the future, the rest for wrapped around.
func age(now int64, at uint32) time.Duration {
	past := millis(now) - at
	if -past < uint32(time.Minute/time.Millisecond) {
		return 0
	}
	return time.Duration(past) * time.Millisecond
}

func pack(mean float64, at uint32) uint64 {
	return uint64(math.Float32bits(float32(mean)))<<32 | uint64(at)
}

func unpack(w uint64) (mean float64, at uint32) {
	return float64(math.Float32frombits(uint32(w >> 32))), uint32(w)
}
