package sweep

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type counter struct{ n atomic.Int64 }

func (c *counter) Sweep(int64) { c.n.Add(1) }

func TestSweeperLooksAtEveryEntryOncePerPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Sweeper
		entries := make([]counter, 100)
		var tickets []*Ticket
		for i := range entries {
			tickets = append(tickets, s.Add(&entries[i]))
		}
		time.Sleep(10*Period + Period/2)
		for i := range entries {
			if n := entries[i].n.Load(); n < 9 || n > 11 {
				t.Errorf("entry %d was looked at %d times in 10 periods", i, n)
			}
		}
		for i := 0; i < len(tickets); i += 2 {
			s.Remove(tickets[i])
		}
		gone, kept := entries[0].n.Load(), entries[1].n.Load()
		time.Sleep(2 * Period)
		if entries[0].n.Load() != gone || entries[1].n.Load() <= kept {
			t.Error("removal stopped the wrong entry")
		}
		for i := 1; i < len(tickets); i += 2 {
			s.Remove(tickets[i])
		}
		// The goroutine ends with the last entry, or synctest reports a deadlock here.
	})
}
