package meter

import (
	"runtime"
	"sync/atomic"
)

// Turn is the right to add to the rows of one shard, from Begin to End: a turn costs two atomic operations,
// however many additions are made in it, and no addition waits for the cache line of the one before. It is
// to be short.
type Turn uint32

// gate tells whether somebody has a turn at a shard.
type gate struct {
	taken atomic.Bool
	_     [lineWords*8 - 4]byte
}

var gates = make([]gate, shards)

// Begin begins a turn at a shard or, when somebody else has one there, at another: any shard will do.
func Begin(shard uint32) Turn {
	shard %= uint32(len(gates))
	if gates[shard].taken.CompareAndSwap(false, true) {
		return Turn(shard)
	}
	return beginElsewhere(shard)
}

// beginElsewhere finds a shard that is free. There is one for each processor, so all are taken only while
// goroutines have been stopped in their turns.
func beginElsewhere(shard uint32) Turn {
	for n := 1; ; n++ {
		if shard = (shard + 1) % uint32(len(gates)); gates[shard].taken.CompareAndSwap(false, true) {
			return Turn(shard)
		}
		if n%len(gates) == 0 {
			runtime.Gosched()
		}
	}
}

// End ends the turn.
func (t Turn) End() { gates[t].taken.Store(false) }

// Row is a row of counters that are added to in turns.
type Row struct {
	lines [][lineWords]uint64
	per   uint32 // lines of a shard
	width uint32
}

// NewRow returns a row of width counters at zero.
func NewRow(width int) Row {
	per := max((width+lineWords-1)/lineWords, 1)
	return Row{lines: make([][lineWords]uint64, per*len(gates)), per: uint32(per), width: uint32(width)}
}

// Add adds n to counter i in a turn.
func (r Row) Add(t Turn, i uint, n uint64) {
	r.lines[uint(uint32(t)*r.per)+i/lineWords][i%lineWords] += n
}

// Sum adds up every counter over all shards, into dst, which has the row's width. It waits for turns under
// way, so it must not be called in one.
func (r *Row) Sum(dst []uint64) {
	clear(dst)
	for shard := range gates {
		for !gates[shard].taken.CompareAndSwap(false, true) {
			runtime.Gosched()
		}
		for i := range dst {
			dst[i] += r.lines[shard*int(r.per)+i/lineWords][i%lineWords]
		}
		Turn(shard).End()
	}
}

// Width is the number of counters.
func (r *Row) Width() int { return int(r.width) }
