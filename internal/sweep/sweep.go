// Package sweep looks at many things now and then: the coarse timer of connections. Setting or
// moving a deadline is then one atomic store by its owner; the sweeper finds out what expired.
package sweep

import (
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/internal/alarm"
	"github.com/pergola-mesh/pergola/internal/clock"
)

// Period is the time between two looks at an entry: how late a coarse deadline may fire.
const Period = 400 * time.Millisecond

// Entry is something to look at.
type Entry interface {
	// Sweep is called every Period with the time of package clock, from the sweeper's goroutine.
	// It must not block, and must neither add nor remove entries.
	Sweep(now int64)
}

const shardCount = 8

// Sweeper holds entries and looks at them while there are any. The zero value is ready.
type Sweeper struct {
	shards [shardCount]shard
	mu     sync.Mutex
	next   uint32
	count  int
	stop   chan struct{}
}

type shard struct {
	mu      sync.Mutex
	tickets []*Ticket
	_       [32]byte
}

// Ticket is an entry's place in a sweeper.
type Ticket struct {
	entry Entry
	shard *shard
	index int
}

// Add begins to look at e. The ticket ends it.
func (s *Sweeper) Add(e Entry) *Ticket {
	s.mu.Lock()
	s.next++
	sh := &s.shards[s.next%shardCount]
	if s.count++; s.count == 1 {
		s.stop = make(chan struct{})
		go s.run(s.stop)
	}
	s.mu.Unlock()
	sh.mu.Lock()
	t := &Ticket{entry: e, shard: sh, index: len(sh.tickets)}
	sh.tickets = append(sh.tickets, t)
	sh.mu.Unlock()
	return t
}

// Remove ends the looking at t's entry: its Sweep is not running, nor called again, once Remove has
// returned. It is called once per ticket.
func (s *Sweeper) Remove(t *Ticket) {
	sh := t.shard
	sh.mu.Lock()
	last := len(sh.tickets) - 1
	moved := sh.tickets[last]
	sh.tickets[t.index], moved.index = moved, t.index
	sh.tickets[last] = nil
	sh.tickets = sh.tickets[:last]
	if cap(sh.tickets) > 64 && len(sh.tickets) < cap(sh.tickets)/4 {
		sh.tickets = append(make([]*Ticket, 0, cap(sh.tickets)/2), sh.tickets...)
	}
	sh.mu.Unlock()
	s.mu.Lock()
	if s.count--; s.count == 0 {
		close(s.stop)
	}
	s.mu.Unlock()
}

func (s *Sweeper) run(stop chan struct{}) {
	ticks := alarm.New(Period/shardCount, Period/shardCount)
	defer ticks.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-ticks.C:
			s.shards[i%shardCount].sweep(clock.Now())
		}
	}
}

func (sh *shard) sweep(now int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, t := range sh.tickets {
		t.entry.Sweep(now)
	}
}

// Each calls f for every entry. The same holds for f as for Entry.Sweep.
func (s *Sweeper) Each(f func(Entry)) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for _, t := range sh.tickets {
			f(t.entry)
		}
		sh.mu.Unlock()
	}
}
