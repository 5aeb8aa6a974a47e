package tidy

import (
	"context"
	"runtime"
	"testing"
	"time"
)

func TestDue(t *testing.T) {
	const mib = 1 << 20
	busy, full := uint64(2*quiet), heap{live: 40 * mib, objects: 60 * mib}
	for name, c := range map[string]struct {
		heap      heap
		allocates uint64 // between two looks
		due       bool
	}{
		"garbage of a quiet process": {full, 0, true},
		"a little work":              {full, quiet / 2, true},
		"busy":                       {full, busy, false},
		"freed but not given back":   {heap{live: 4 * mib, objects: 4 * mib, free: 2 * mib}, 0, true},
		"nothing to give":            {heap{live: 40 * mib, objects: 40*mib + 100}, 0, false},
		"not worth it":               {heap{live: 40 * mib, objects: 43 * mib}, 0, false},
		"freed since the collection": {heap{live: 40 * mib, objects: 30 * mib}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, now, due := watch{}, time.Now(), false
			c.heap.allocated = 100 * mib // from when it started
			for range 2 * rest {
				now = now.Add(period)
				c.heap.allocated += c.allocates
				due = w.due(now, c.heap)
			}
			if due != c.due {
				t.Errorf("due is %t", due)
			}
		})
	}
}

func TestDueWaitsForQuiet(t *testing.T) {
	w, h, now := watch{}, heap{allocated: 1 << 30, objects: 1 << 30}, time.Now()
	for i := range rest {
		if w.due(now, h) {
			t.Fatalf("due at look %d, of which the first finds a process that has just started", i)
		}
	}
	if !w.due(now, h) {
		t.Error("not due though it has been quiet")
	}
	h.allocated += quiet
	if w.due(now, h) {
		t.Error("due though it has just been busy")
	}
}

func TestDueIsRareWhenCollectingIsSlow(t *testing.T) {
	w, h, began := watch{still: rest}, heap{objects: 1 << 30}, time.Now()
	if !w.due(began, h) {
		t.Fatal("not due at first")
	}
	w.collected(began, began.Add(time.Second))
	if w.due(began.Add(effort*time.Second), h) {
		t.Error("more than its part of the time goes into collecting")
	}
	if !w.due(began.Add((effort+1)*time.Second), h) {
		t.Error("not due again")
	}
}

// What the heap is asked for must exist in this version of Go.
func TestRead(t *testing.T) {
	kept := make([]byte, 8<<20)
	runtime.GC()
	h := newReader().read()
	if h.allocated < 8<<20 || h.live < 8<<20 || h.objects < 8<<20 {
		t.Errorf("the heap holds 8 MiB, and is said to be %+v", h)
	}
	runtime.KeepAlive(kept)
	kept = nil
	runtime.GC()
	if h := newReader().read(); h.spare() == 0 {
		t.Errorf("nothing to give back of %+v", h)
	}
}

func TestRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	Run(ctx) // what it drops of the program is back when it is needed: we are here
}
