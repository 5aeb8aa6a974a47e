package meter

import (
	"sync"
	"testing"
	"unsafe"
)

func sums(r *Row) []uint64 {
	sum := make([]uint64, r.Width())
	r.Sum(sum)
	return sum
}

// Many more goroutines than shards lose nothing, while somebody reads.
func TestTurnsLoseNothing(t *testing.T) {
	a, b := NewRow(11), NewRow(1)
	const writers, turns = 50, 2000
	var wg sync.WaitGroup
	for shard := range uint32(writers) {
		wg.Go(func() {
			for range turns {
				turn := Begin(shard)
				a.Add(turn, 0, 1)
				a.Add(turn, 10, uint64(shard))
				b.Add(turn, 0, 2)
				turn.End()
			}
		})
	}
	last := uint64(0)
	for range 100 {
		now := sums(&a)[0]
		if now < last {
			t.Errorf("%d after %d", now, last)
		}
		last = now
	}
	wg.Wait()
	if s := sums(&a); s[0] != writers*turns || s[10] != turns*writers*(writers-1)/2 {
		t.Error(s)
	}
	if s := sums(&b); s[0] != 2*writers*turns {
		t.Error(s)
	}
}

// Whoever finds a shard taken goes to another, and to none that is taken too.
func TestATurnAtATakenShardIsElsewhere(t *testing.T) {
	r := NewRow(1)
	var held []Turn
	seen := map[Turn]bool{}
	for range gates {
		turn := Begin(0)
		if seen[turn] {
			t.Errorf("two turns at %d", turn)
		}
		seen[turn] = true
		r.Add(turn, 0, 1)
		held = append(held, turn)
	}
	done := make(chan uint64)
	go func() {
		turn := Begin(0) // once there is one
		r.Add(turn, 0, 1)
		turn.End()
		done <- sums(&r)[0]
	}()
	for _, turn := range held {
		turn.End()
	}
	if n, want := <-done, uint64(len(gates)+1); n != want {
		t.Errorf("%d, want %d", n, want)
	}
}

func TestRowsAreAlignedToCacheLines(t *testing.T) {
	for width := 1; width < 200; width += 7 {
		r := NewRow(width)
		if at := uintptr(unsafe.Pointer(&r.lines[0])); at%64 != 0 {
			t.Errorf("a row of %d counters begins at %#x", width, at)
		}
	}
	if at := uintptr(unsafe.Pointer(&gates[0])); at%64 != 0 || unsafe.Sizeof(gate{}) != 64 {
		t.Errorf("gates of %d bytes begin at %#x", unsafe.Sizeof(gate{}), at)
	}
}

func BenchmarkTurn(b *testing.B) {
	row := NewRow(8)
	b.ReportAllocs()
	for b.Loop() {
		t := Begin(3)
		row.Add(t, 2, 1)
		t.End()
	}
}
