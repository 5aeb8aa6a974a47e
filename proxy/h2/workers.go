package h2

import (
	"sync"

	"github.com/pergola-mesh/pergola/internal/sweep"
)

// workers are goroutines that are kept for the next stream: their stacks have grown already. One that
// was not needed for a while ends.
type workers struct {
	sweeper sweep.Sweeper
	shards  [8]workerShard
	mu      sync.Mutex // guards count, ticket; above the sweeper's own
	count   int
	ticket  *sweep.Ticket
}

type workerShard struct {
	mu   sync.Mutex // guards idle, low
	idle []chan job
	low  int // how many were idle all the time since the last sweep
	_    [24]byte
}

type job interface{ run() }

// do runs j on a goroutine of its own.
func (w *workers) do(shard uint32, j job) {
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

func (w *workers) hire(s *workerShard, j job) {
	w.mu.Lock()
	if w.count++; w.count == 1 {
		w.ticket = w.sweeper.Add(w)
	}
	w.mu.Unlock()
	go func() {
		ch := make(chan job, 1)
		for ok := true; ok; j, ok = <-ch {
			j.run()
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

// Sweep lets those go that had nothing to do since the last time.
func (w *workers) Sweep(int64) {
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
