// Package workers keeps goroutines for the next piece of work: their stacks have grown already.
package workers

import (
	"sync"

	"github.com/pergola-mesh/pergola/internal/sweep"
)

// Pool is goroutines that are kept for the next job. One that was not needed for a while ends. The zero
// value is ready.
type Pool struct {
	sweeper sweep.Sweeper
	shards  [8]shard
	mu      sync.Mutex // guards count, ticket; above the sweeper's own
	count   int
	ticket  *sweep.Ticket
}

type shard struct {
	mu   sync.Mutex // guards idle, low
	idle []chan Job
	low  int // how many were idle all the time since the last sweep
	_    [24]byte
}

// Job is a piece of work.
type Job interface{ Run() }

// Do runs j on a goroutine of its own. shard spreads contention: any value is right.
func (w *Pool) Do(shard uint32, j Job) {
	s := &w.shards[shard%uint32(len(w.shards))]
	s.mu.Lock()
	n := len(s.idle) - 1
	if n < 0 {
		s.mu.Unlock()
		w.hire(s, j)
		return
	}
	ch := s.idle[n]
	s.idle = s.idle[:n]
	s.low = min(s.low, n)
	s.mu.Unlock()
	ch <- j
}

func (w *Pool) hire(s *shard, j Job) {
	w.mu.Lock()
	if w.count++; w.count == 1 {
		w.ticket = w.sweeper.Add(w)
	}
	w.mu.Unlock()
	go func() {
		ch := make(chan Job, 1)
		for ok := true; ok; j, ok = <-ch {
			j.Run()
			j = nil
			s.mu.Lock()
			s.idle = append(s.idle, ch)
			s.mu.Unlock()
		}
		w.mu.Lock()
		if w.count--; w.count == 0 {
			w.sweeper.Remove(w.ticket)
		}
		w.mu.Unlock()
	}()
}

// Sweep lets those go that had nothing to do since the last time. It is for the sweeper.
func (w *Pool) Sweep(int64) {
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		for _, ch := range s.idle[:s.low] {
			close(ch)
		}
		s.idle = s.idle[:copy(s.idle, s.idle[s.low:])]
		s.low = len(s.idle)
		s.mu.Unlock()
	}
}
