package meter

import (
	"sync"
	"testing"
	"unsafe"
)

func TestBlockSumsShards(t *testing.T) {
	b := NewBlock(11)
	var wg sync.WaitGroup
	for shard := range uint32(100) {
		wg.Go(func() {
			for i := range b.Width() {
				for range 10 {
					b.Add(shard, i, uint64(i))
				}
			}
		})
	}
	wg.Wait()
	sum := make([]uint64, b.Width())
	b.Sum(sum)
	for i, n := range sum {
		if n != uint64(i*1000) {
			t.Errorf("counter %d is %d, want %d", i, n, i*1000)
		}
	}
}

func TestBlocksAreAlignedToCacheLines(t *testing.T) {
	for width := 1; width < 200; width += 7 {
		b := NewBlock(width)
		if at := uintptr(unsafe.Pointer(&b.lines[0])); at%64 != 0 {
			t.Errorf("a block of %d counters begins at %#x", width, at)
		}
	}
}

func TestGaugeGoesDownOnAnotherShard(t *testing.T) {
	g := NewGauge()
	g.Add(0, 3)
	g.Add(1, -4)
	if v := g.Value(); v != -1 {
		t.Errorf("got %d, want -1", v)
	}
	c := NewCounter()
	c.Add(7, 3)
	c.Add(8, 4)
	if v := c.Value(); v != 7 {
		t.Errorf("got %d, want 7", v)
	}
}

func TestTableKeepsOneValuePerKey(t *testing.T) {
	var table Table[Counter]
	const keys = 500
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for k := uint32(1); k <= keys; k++ {
				c := table.Get(k)
				if c == nil {
					c = table.Make(k, keys, func() Counter { return *NewCounter() })
				}
				c.Add(k, uint64(k))
			}
		})
	}
	wg.Wait()
	seen := 0
	table.All(func(key uint32, c *Counter) {
		seen++
		if v := c.Value(); v != uint64(key)*4 {
			t.Errorf("key %d has %d, want %d", key, v, key*4)
		}
	})
	if seen != keys {
		t.Errorf("%d keys, want %d", seen, keys)
	}
	if table.Get(keys+1) != nil || table.Make(keys+1, keys, func() Counter { return *NewCounter() }) != nil {
		t.Error("a key over the limit has a value")
	}
}

func BenchmarkAdd(b *testing.B) {
	block := NewBlock(8)
	b.ReportAllocs()
	for b.Loop() {
		block.Add(3, 2, 1)
	}
}

func BenchmarkTableGet(b *testing.B) {
	var table Table[Counter]
	for k := uint32(1); k < 20; k++ {
		table.Make(k<<8, 100, func() Counter { return *NewCounter() })
	}
	b.ReportAllocs()
	for b.Loop() {
		table.Get(7 << 8)
	}
}
