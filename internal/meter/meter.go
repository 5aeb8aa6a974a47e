// Package meter counts things on the request path: sharded counters that are summed when read.
//
// A writer names a shard and adds to the shard's own cache lines, so that writers on different
// processors do not wait for each other. Nothing here allocates after it is made, and everything is
// safe for concurrent use. Single additions are atomic ones to a Block, many at once a Turn at Rows. A sum is
// not one moment's: additions under way may be in it in part.
package meter

import (
	"math/bits"
	"runtime"
	"sync/atomic"
)

const lineWords = 8

// line is a cache line of counters. Slices of lines are aligned to lines: so are all of the
// allocator's size classes for whole multiples of 64 bytes.
type line [lineWords]atomic.Uint64

var shards = func() uint32 {
	n := min(runtime.GOMAXPROCS(0), 64)
	return uint32(1) << bits.Len(uint(n-1))
}()

// Block is a row of counters that are mostly added to together, so that one addition to each costs
// one or two cache lines.
type Block struct {
	lines []line
	mask  uint32 // shards-1
	per   uint32 // lines of a shard
	width int
}

// NewBlock returns a block of width counters at zero.
func NewBlock(width int) *Block {
	per := max((width+lineWords-1)/lineWords, 1)
	return &Block{lines: make([]line, per*int(shards)), mask: shards - 1, per: uint32(per), width: width}
}

// Add adds n to counter i on a shard; any shard will do.
func (b *Block) Add(shard uint32, i int, n uint64) {
	b.lines[(shard&b.mask)*b.per+uint32(i)/lineWords][i%lineWords].Add(n)
}

// Sum adds up every counter over all shards, into dst, which has the block's width.
func (b *Block) Sum(dst []uint64) {
	clear(dst)
	for at := 0; at < len(b.lines); at += int(b.per) {
		for i := range dst {
			dst[i] += b.lines[at+i/lineWords][i%lineWords].Load()
		}
	}
}

// Width is the number of counters.
func (b *Block) Width() int { return b.width }

// Counter only goes up.
type Counter struct{ block *Block }

// NewCounter returns a counter at zero.
func NewCounter() *Counter { return &Counter{NewBlock(1)} }

// Add adds n on a shard.
func (c *Counter) Add(shard uint32, n uint64) { c.block.Add(shard, 0, n) }

// Value is the sum.
func (c *Counter) Value() uint64 {
	var sum [1]uint64
	c.block.Sum(sum[:])
	return sum[0]
}

// Gauge goes up and down.
type Gauge struct{ block *Block }

// NewGauge returns a gauge at zero.
func NewGauge() *Gauge { return &Gauge{NewBlock(1)} }

// Add adds n, which may be negative, on a shard; it need not be the one that was added to before.
func (g *Gauge) Add(shard uint32, n int64) { g.block.Add(shard, 0, uint64(n)) }

// Value is the sum.
func (g *Gauge) Value() int64 {
	var sum [1]uint64
	g.block.Sum(sum[:])
	return int64(sum[0])
}
